//! An address as a picture for the camera of a telephone.

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

/// The picture in half blocks, black on white whatever the terminal's colours are, since cameras
/// take no other; none for a text that is too long for a terminal.
pub(super) fn picture(address: &str) -> Option<String> {
    const LENGTH_MAX: usize = 200;
    if address.len() > LENGTH_MAX {
        return None;
    }
    let code = QrCode::new(address).ok()?;
    let picture = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Dark)
        .light_color(Dense1x2::Light)
        .build();
    let lines = picture
        .lines()
        .map(|line| format!("\x1b[30;107m{line}\x1b[0m\n"));
    Some(lines.collect::<String>() + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_square_picture() {
        let picture = picture("https://microsoft.com/devicelogin").unwrap();
        let first = picture.lines().next().unwrap();
        assert!(first.starts_with("\x1b[30;107m ") && first.ends_with(" \x1b[0m"));
        let lines = picture.lines().filter(|line| !line.is_empty());
        let widths: Vec<usize> = lines.map(|line| line.chars().count()).collect();
        assert!(widths.len() > 10 && widths.len() < 25, "{}", widths.len());
        assert!(widths.iter().all(|width| *width == widths[0]));
        assert!(super::picture(&"x".repeat(5000)).is_none());
    }
}
