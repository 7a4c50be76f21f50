//! Numbers as people read them.

/// 12345 → `12,345`
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// 0.0123 → `12 ms`, 3.21 → `3.2 s`, 185.0 → `3 min 05 s`
pub(crate) fn seconds(s: f64) -> String {
    if s < 1.0 {
        milliseconds(s * 1000.0)
    } else if s < 100.0 {
        format!("{s:.1} s")
    } else {
        let whole = s.round();
        format!("{} min {:02} s", (whole / 60.0).floor(), whole % 60.0)
    }
}

pub(crate) fn milliseconds(ms: f64) -> String {
    if ms < 1.0 {
        "< 1 ms".to_owned()
    } else if ms < 1000.0 {
        format!("{ms:.0} ms")
    } else {
        seconds(ms / 1000.0)
    }
}

/// 2.4 → `2.4 %`, 0.0123 → `0.01 %`
pub(crate) fn percent(percent: f64) -> String {
    match percent {
        p if p >= 1.0 => format!("{p:.1} %"),
        p if p >= 0.01 => format!("{p:.2} %"),
        _ => "less than 0.01 %".to_owned(),
    }
}

/// 12345678 → `11.8 MiB`
pub(crate) fn bytes(n: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut size = n as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if size < 1024.0 {
            return if unit == "bytes" { format!("{n} bytes") } else { format!("{size:.1} {unit}") };
        }
        size /= 1024.0;
    }
    format!("{size:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [seconds(0.0004), seconds(0.25), seconds(3.21), seconds(185.2)],
            ["< 1 ms", "250 ms", "3.2 s", "3 min 05 s"]
        );
        assert_eq!([bytes(10), bytes(2048), bytes(12_345_678)], ["10 bytes", "2.0 KiB", "11.8 MiB"]);
        assert_eq!(counted(1, "row", "rows"), "1 row");
    }
}
