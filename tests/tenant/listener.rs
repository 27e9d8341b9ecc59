//! A port on loopback that can be closed and opened again.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

type Serve = Arc<dyn Fn(TcpStream) + Send + Sync>;

/// A listening port; every connection is served by a thread of its own.
pub struct Listener {
    address: SocketAddr,
    serve: Serve,
    open: Mutex<Option<Acceptor>>,
}

struct Acceptor {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Listens on a port that the kernel picks.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Listener {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let serve: Serve = Arc::new(serve);
        let open = Mutex::new(Some(Acceptor::start(socket, serve.clone())));
        Listener {
            address,
            serve,
            open,
        }
    }

    /// The port, which stays the same when it is closed for a while.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections are refused when this returns.
    pub fn close(&self) {
        let Some(acceptor) = self.open.lock().unwrap().take() else {
            return;
        };
        acceptor.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = acceptor.thread.join();
    }

    /// Listens again on the same port.
    pub fn open(&self) {
        let mut open = self.open.lock().unwrap();
        if open.is_none() {
            let socket = TcpListener::bind(self.address).unwrap();
            *open = Some(Acceptor::start(socket, self.serve.clone()));
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

impl Acceptor {
    fn start(socket: TcpListener, serve: Serve) -> Acceptor {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = thread::spawn(move || {
            for stream in socket.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let serve = serve.clone();
                if let Ok(stream) = stream {
                    thread::spawn(move || serve(stream));
                }
            }
        });
        Acceptor { ended, thread }
    }
}
