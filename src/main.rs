//! The real world in, the exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sendmail365::run::run(std::env::args_os().collect()))
}
