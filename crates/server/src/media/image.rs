//! Whether a file is a picture and nothing but one. The container is walked from its first byte to its last: what follows the picture's end, and
//! what is no part of it, makes it something else as well (an archive, a page), and is refused. Pixels are not decoded.

/// To either side; and so many altogether.
const MAX_SIDE: u32 = 12_000;
const MAX_PIXELS: u64 = 50_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImageKind {
    Gif,
    Jpeg,
    Png,
    WebP,
}

impl ImageKind {
    pub const ALL: [Self; 4] = [Self::Gif, Self::Jpeg, Self::Png, Self::WebP];

    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Gif => "gif",
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }

    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Gif => "image/gif",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) kind: ImageKind,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// By its own bytes, whatever its sender calls it. None: not one whole picture of a kind we take, or too large.
pub(crate) fn inspect(bytes: &[u8]) -> Option<Image> {
    let (kind, (width, height)) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        (ImageKind::Png, png(bytes)?)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        (ImageKind::Jpeg, jpeg(bytes)?)
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        (ImageKind::Gif, gif(bytes)?)
    } else if bytes.starts_with(b"RIFF") {
        (ImageKind::WebP, webp(bytes)?)
    } else {
        return None;
    };
    let sides = 1..=MAX_SIDE;
    let fits = sides.contains(&width)
        && sides.contains(&height)
        && u64::from(width) * u64::from(height) <= MAX_PIXELS;
    fits.then_some(Image { kind, width, height })
}

type Size = (u32, u32);

/// Takes bytes off the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(count)?;
        self.0 = tail;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
}

fn png(bytes: &[u8]) -> Option<Size> {
    let mut rest = Reader(&bytes[8..]);
    let (mut size, mut has_data) = (None, false);
    loop {
        let length = usize::try_from(u32::from_be_bytes(rest.array()?)).ok()?;
        let checked = rest.0.get(..length.checked_add(4)?)?;
        let kind: [u8; 4] = rest.array()?;
        let data = rest.take(length)?;
        if crc32(checked) != u32::from_be_bytes(rest.array()?) {
            return None;
        }
        match &kind {
            b"IHDR" if size.is_none() && length == 13 => {
                let mut header = Reader(data);
                size = Some((u32::from_be_bytes(header.array()?), u32::from_be_bytes(header.array()?)));
            }
            b"IHDR" => return None,
            _ if size.is_none() => return None,
            b"IDAT" => has_data = true,
            b"PLTE" => {}
            b"IEND" => return size.filter(|_| has_data && length == 0 && rest.0.is_empty()),
            // A small letter: one may do without it.
            _ if kind.iter().all(u8::is_ascii_alphabetic) && kind[0].is_ascii_lowercase() => {}
            _ => return None,
        }
    }
}

/// As PNG has it (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    };
    !bytes.iter().fold(!0, step)
}

fn jpeg(bytes: &[u8]) -> Option<Size> {
    let mut rest = Reader(&bytes[2..]);
    let (mut size, mut has_scan) = (None, false);
    loop {
        if rest.byte()? != 0xff {
            return None;
        }
        let mut marker = rest.byte()?;
        while marker == 0xff {
            marker = rest.byte()?;
        }
        if marker == 0xd9 {
            return size.filter(|_| has_scan && rest.0.is_empty());
        }
        // Those that stand alone have no place between segments, and a picture begins once.
        if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8) {
            return None;
        }
        let length = usize::from(u16::from_be_bytes(rest.array()?));
        let data = rest.take(length.checked_sub(2)?)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let mut frame = Reader(data);
                frame.byte()?;
                let height = u16::from_be_bytes(frame.array()?);
                let frame_size = (u32::from(u16::from_be_bytes(frame.array()?)), u32::from(height));
                if size.replace(frame_size).is_some() {
                    return None;
                }
            }
            0xda if size.is_some() => {
                has_scan = true;
                skip_scan(&mut rest)?;
            }
            0xda => return None,
            _ => {}
        }
    }
}

/// To the next marker that is no part of the scan: a stuffed byte and a restart are.
fn skip_scan(rest: &mut Reader<'_>) -> Option<()> {
    let ends = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xd0..=0xd7 | 0xff);
    let at = rest.0.windows(2).position(ends)?;
    rest.take(at).map(|_| ())
}

fn gif(bytes: &[u8]) -> Option<Size> {
    let mut rest = Reader(&bytes[6..]);
    let (width, height): (u16, u16) = (u16::from_le_bytes(rest.array()?), u16::from_le_bytes(rest.array()?));
    let flags = rest.byte()?;
    rest.take(2)?;
    colours(&mut rest, flags)?;
    let mut frames = 0_u32;
    loop {
        match rest.byte()? {
            0x21 => {
                rest.byte()?;
                skip_blocks(&mut rest)?;
            }
            0x2c => {
                let mut corner = [0_u32; 4];
                for part in &mut corner {
                    *part = u32::from(u16::from_le_bytes(rest.array()?));
                }
                if corner[0] + corner[2] > u32::from(width) || corner[1] + corner[3] > u32::from(height) {
                    return None;
                }
                let flags = rest.byte()?;
                colours(&mut rest, flags)?;
                rest.byte()?;
                skip_blocks(&mut rest)?;
                frames += 1;
            }
            0x3b => {
                return (frames > 0 && rest.0.is_empty()).then_some((u32::from(width), u32::from(height)));
            }
            _ => return None,
        }
    }
}

fn colours(rest: &mut Reader<'_>, flags: u8) -> Option<()> {
    if flags & 0x80 != 0 {
        rest.take(3 << ((flags & 7) + 1))?;
    }
    Some(())
}

fn skip_blocks(rest: &mut Reader<'_>) -> Option<()> {
    loop {
        match rest.byte()? {
            0 => return Some(()),
            length => rest.take(usize::from(length))?,
        };
    }
}

fn webp(bytes: &[u8]) -> Option<Size> {
    let mut rest = Reader(&bytes[4..]);
    let length = usize::try_from(u32::from_le_bytes(rest.array()?)).ok()?;
    if length != rest.0.len() || rest.take(4)? != b"WEBP" {
        return None;
    }
    let (mut size, mut has_data) = (None, false);
    while !rest.0.is_empty() {
        let kind: [u8; 4] = rest.array()?;
        let length = usize::try_from(u32::from_le_bytes(rest.array()?)).ok()?;
        let data = rest.take(length)?;
        if length % 2 == 1 && rest.byte()? != 0 {
            return None;
        }
        let found = match &kind {
            b"VP8X" if size.is_none() => {
                let mut header = Reader(data.get(4..10)?);
                let side = |[a, b, c]: [u8; 3]| u32::from_le_bytes([a, b, c, 0]) + 1;
                Some((side(header.array()?), side(header.array()?)))
            }
            b"VP8 " => {
                let mut frame = Reader(data.get(3..)?);
                if frame.take(3)? != b"\x9d\x01\x2a" {
                    return None;
                }
                has_data = true;
                let side = |bytes| u32::from(u16::from_le_bytes(bytes) & 0x3fff);
                Some((side(frame.array()?), side(frame.array()?)))
            }
            b"VP8L" => {
                let mut frame = Reader(data);
                if frame.byte()? != 0x2f {
                    return None;
                }
                has_data = true;
                let bits = u32::from_le_bytes(frame.array()?);
                Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
            }
            b"ANMF" if size.is_some() => {
                has_data = true;
                None
            }
            b"ALPH" | b"ANIM" | b"ICCP" | b"EXIF" | b"XMP " if size.is_some() => None,
            _ => return None,
        };
        // The canvas of an extended file comes first, and says more than its frames.
        size = size.or(found);
    }
    size.filter(|_| has_data)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One pixel each.
    pub(crate) fn samples() -> Vec<(ImageKind, Vec<u8>)> {
        let chunk = |kind: &[u8; 4], data: &[u8]| {
            let body = [&kind[..], data].concat();
            let length = u32::try_from(data.len()).unwrap().to_be_bytes();
            [&length[..], &body, &crc32(&body).to_be_bytes()].concat()
        };
        let png = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]),
            chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0, 0, 2, 0, 1]),
            chunk(b"IEND", &[]),
        ]
        .concat();
        let jpeg = [
            &b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"[..],
            b"\xff\xc0\x00\x0b\x08\x00\x01\x00\x01\x01\x01\x11\x00",
            b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\xd2\xff\x00\xcf\x20\xff\xd9",
        ]
        .concat();
        let gif = b"GIF89a\x01\x00\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x4c\x01\x00\x3b".to_vec();
        let frame = b"VP8L\x05\x00\x00\x00\x2f\x00\x00\x00\x00\x00";
        let webp = [&b"RIFF\x12\x00\x00\x00WEBP"[..], frame].concat();
        vec![(ImageKind::Png, png), (ImageKind::Jpeg, jpeg), (ImageKind::Gif, gif), (ImageKind::WebP, webp)]
    }

    #[test]
    fn a_picture_is_whole_and_nothing_else_besides() {
        for (kind, bytes) in samples() {
            assert_eq!(inspect(&bytes), Some(Image { kind, width: 1, height: 1 }), "{kind:?}");
            for end in 0..bytes.len() {
                assert_eq!(inspect(&bytes[..end]), None, "{kind:?} cut at {end}");
            }
            for tail in [&b"\0"[..], b"PK\x03\x04", b"<script>alert(1)</script>", b"\xff\xd9", b";"] {
                assert_eq!(inspect(&[&bytes, tail].concat()), None, "{kind:?} and {tail:?}");
            }
            assert_eq!(inspect(&[&b"<svg>"[..], &bytes].concat()), None, "{kind:?} behind something");
        }
        for text in
            ["", "<svg xmlns='http://www.w3.org/2000/svg'/>", "<!DOCTYPE html>", "%PDF-1.7", "GIF89a/*", "BM"]
        {
            assert_eq!(inspect(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_claims_to_be_huge_is_refused_before_anybody_decodes_it() {
        for (kind, bytes) in samples() {
            let mut huge = bytes.clone();
            match kind {
                ImageKind::Png => {
                    huge[16..20].copy_from_slice(&1_000_000_u32.to_be_bytes());
                    let crc = crc32(&huge[12..29]).to_be_bytes();
                    huge[29..33].copy_from_slice(&crc);
                }
                ImageKind::Jpeg => huge[25..29].copy_from_slice(&[0xff; 4]),
                ImageKind::Gif => huge[6..10].copy_from_slice(&[0xff; 4]),
                ImageKind::WebP => huge[21..25].copy_from_slice(&[0xff; 4]),
            }
            assert_eq!(inspect(&huge), None, "{kind:?}");
        }
    }

    #[test]
    fn a_broken_sum_and_an_unknown_chunk_are_refused() {
        let (_, mut png) = samples().remove(0);
        png[24] ^= 1;
        assert_eq!(inspect(&png), None);
        let frame = b"HTML\x04\x00\x00\x00<b>!";
        let (_, webp) = samples().remove(3);
        let mut with = [&webp[..], frame].concat();
        with[4] = 0x1e;
        assert_eq!(inspect(&with), None);
    }
}
