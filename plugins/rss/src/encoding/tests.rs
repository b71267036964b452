use super::*;

fn check(document: &[u8], content_type: Option<&str>, wanted: &str) {
    let text = decoded(document, content_type).unwrap();
    assert!(text.ends_with(wanted), "{text:?} of {content_type:?}, not {wanted:?}");
}

fn xml(encoding: &str, text: &[u8]) -> Vec<u8> {
    [format!("<?xml version='1.0' encoding='{encoding}'?>").as_bytes(), text].concat()
}

#[test]
fn names_are_those_of_the_encoding_standard() {
    for (label, bytes, wanted) in [
        ("ISO-8859-1", &b"It\x92s caf\xe9"[..], "It’s café"),
        ("us-ascii", b"caf\xe9", "café"),
        ("Windows-1252", b"5\x80 \x93now\x94", "5€ “now”"),
        ("cp1252", b"5\x80", "5€"),
        ("ISO-8859-15", b"5\xa4", "5€"),
        ("iso-8859-2", b"m\xfbsor \xf5", "műsor ő"),
        ("iso-8859-9", b"\xddstanbul", "İstanbul"),
        ("windows-1251", b"\xcd\xee\xe2\xee", "Ново"),
        ("koi8-r", b"\xee\xcf\xd7", "Нов"),
        ("Shift_JIS", b"\x93\xfa\x96\x7b\x8c\xea", "日本語"),
        ("EUC-JP", b"\xc6\xfc\xcb\xdc\xb8\xec", "日本語"),
        ("iso-2022-jp", b"\x1b$BF|K\\8l\x1b(B", "日本語"),
        ("GB2312", b"\xd0\xc2\xce\xc5", "新闻"),
        ("big5", b"\xb7s\xbbD", "新聞"),
        ("EUC-KR", b"\xb4\xba\xbd\xba", "뉴스"),
        ("utf8", "é".as_bytes(), "é"),
    ] {
        check(&xml(label, bytes), None, wanted);
        check(bytes, Some(&format!("text/xml; charset={label}")), wanted);
    }
}

#[test]
fn the_charset_is_found_in_all_its_forms() {
    for content_type in [
        "application/rss+xml; charset=iso-8859-1",
        "text/xml;charset=\"ISO-8859-1\"",
        "text/xml; CharSet='iso-8859-1' ; version=2",
        "text/xml; version=1; charset = latin1",
    ] {
        check(b"caf\xe9", Some(content_type), "café");
        check(&xml("koi8-r", b"caf\xe9"), Some(content_type), "café");
    }
    for content_type in ["text/xml", "text/xml; charset=", "text/xml; charset", "charset=koi8-r"] {
        check(&xml("windows-1251", b"\xcd"), Some(content_type), "Н");
    }
}

#[test]
fn a_mark_decides() {
    let utf_16 = |text: &str, bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    };
    let text = "<?xml version='1.0' encoding='UTF-16'?><a>Grüße";
    for bytes in [u16::to_le_bytes as fn(u16) -> [u8; 2], u16::to_be_bytes] {
        check(
            &utf_16(&format!("\u{feff}{text}"), bytes),
            Some("text/xml; charset=koi8-r"),
            "Grüße",
        );
        check(&utf_16(text, bytes), None, "Grüße");
        check(&utf_16(text, bytes), Some("text/xml; charset=utf-16"), "Grüße");
    }
    let marked = xml("ISO-8859-1", "é".as_bytes());
    check(&[&b"\xef\xbb\xbf"[..], &marked].concat(), Some("text/xml; charset=koi8-r"), "é");
    assert!(!decoded(b"\xef\xbb\xbfa", None).unwrap().contains('\u{feff}'));
}

#[test]
fn what_is_declared_wrong_is_read_as_what_it_is() {
    check(&xml("ISO-8859-1", "café".as_bytes()), None, "café");
    check("café".as_bytes(), Some("text/xml; charset=ISO-8859-1"), "café");
    check(&xml("UTF-8", b"caf\xe9"), None, "café");
    check(&xml("windows-1251", b"\xcd\xee"), Some("text/xml; charset=utf-8"), "Но");
    check(&xml("utf-16", "é".as_bytes()), None, "é");
    check(b"<a>caf\xe9", None, "café");
    check("<a>é, and \u{ff}".as_bytes(), None, "é, and ÿ");
    let torn = [&xml("UTF-8", "é".as_bytes())[..], b"\xe2\x82"].concat();
    check(&torn, None, "é\u{fffd}");
}

#[test]
fn an_unknown_name_is_no_matter_where_it_is_not_needed() {
    check(&xml("klingon", "é".as_bytes()), None, "é");
    check(&xml("koi8-r", b"\xee"), Some("text/xml; charset=klingon"), "Н");
    let error = decoded(&xml("klingon", b"\xe9"), None).unwrap_err();
    assert_eq!(error, "its encoding `klingon` is not one that is known");
    let error = decoded(&xml("iso-2022-kr", b"\xe9"), None).unwrap_err();
    assert!(error.contains("`iso-2022-kr`"), "{error}");
    let long = "x".repeat(500);
    let error = decoded(b"\xe9", Some(&format!("a/b; charset={long}"))).unwrap_err();
    assert!(error.len() < 100, "{error}");
}
