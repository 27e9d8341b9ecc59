//! Blocks of PEM (RFC 7468), read leniently.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block; its content may be a key.
pub struct Block {
    /// What stands behind BEGIN.
    pub label: String,
    pub der: Zeroizing<Vec<u8>>,
    /// A header field says that the content is encrypted (RFC 1421 section 4.6.1.1).
    pub encrypted: bool,
}

/// Every block that decodes; text between the blocks is skipped.
pub fn blocks(pem: &[u8]) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<(String, Zeroizing<Vec<u8>>, bool)> = None;
    // What editors of Windows put before a text.
    let pem = pem.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(pem);
    for line in pem.split(|&octet| octet == b'\n').map(<[u8]>::trim_ascii) {
        if let Some(label) = between(line, b"-----BEGIN ") {
            // Room for the whole of it: a buffer that grows leaves copies of a key behind.
            let text = Zeroizing::new(Vec::with_capacity(pem.len()));
            open = Some((label, text, false));
        } else if let Some(label) = between(line, b"-----END ") {
            let whole = open.take().filter(|(begun, ..)| *begun == label);
            if let Some((label, text, encrypted)) = whole {
                let der = STANDARD.decode(&*text);
                // What is encrypted the old way decodes too, and what is cut does not.
                if let Some(der) = der.ok().or_else(|| encrypted.then(Vec::new)) {
                    let der = Zeroizing::new(der);
                    found.push(Block {
                        label,
                        der,
                        encrypted,
                    });
                }
            }
        } else if let Some((_, text, encrypted)) = &mut open {
            match line.contains(&b':') {
                true => *encrypted |= line.ends_with(b"ENCRYPTED"),
                false if line.starts_with(b"DEK-Info") => {}
                false => text.extend_from_slice(line),
            }
        }
    }
    found
}

fn between(line: &[u8], mark: &[u8]) -> Option<String> {
    let label = line.strip_prefix(mark)?.strip_suffix(b"-----")?;
    String::from_utf8(label.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_hides_no_block() {
        let found = blocks(b"\xEF\xBB\xBF-----BEGIN A-----\r\nAQID\r\n-----END A-----\r\n");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn blocks_are_found_between_other_text_and_cut_ones_are_not() {
        let pem = b"subject=x\n-----BEGIN A-----\r\nAQID\r\n-----END A-----\nBag Attributes\n\
            -----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nBAUG\n\
            -----END RSA PRIVATE KEY-----\n-----BEGIN B-----\n!!\n-----END B-----\n\
            -----BEGIN C-----\nAQID\n-----END D-----\n-----BEGIN E-----\nAQID\n";
        let found = blocks(pem);
        let found: Vec<(&str, &[u8], bool)> = found
            .iter()
            .map(|block| (block.label.as_str(), &block.der[..], block.encrypted))
            .collect();
        assert_eq!(
            found,
            [
                ("A", &[1, 2, 3][..], false),
                ("RSA PRIVATE KEY", &[4, 5, 6], true)
            ]
        );
    }
}
