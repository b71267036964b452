use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECRET: &str = "It's a \"Secret\" to Everybody";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                   MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgEbVzfPnZPxfAyxqE\n\
                   ZV05laAoJAl+/6Xt2O4mOB611sOhRANCAASgFTKjwJAAU95g++/vzKWHkzAVmNMI\n\
                   tB5vTjZOOIwnEb70MsWZFIyUFD1P9Gwstz4+akHX7vI8BH6hHmBmfeQl\n\
                   x9/Q\n\
                   -----END PRIVATE KEY-----\n";

fn redaction() -> Redaction {
    let secrets = [SECRET, PEM, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "short", "12345678"];
    let secrets = secrets.map(|text| Secret::new(text.into()).unwrap());
    let raw = Secret::new((200..232).collect()).unwrap();
    Redaction::of(secrets.iter().chain([&raw])).unwrap()
}

fn check(text: &str, wanted: &str) {
    assert_eq!(redaction().text(text), wanted, "{text}");
}

/// Fails when the text holds as much of the key as is called a secret.
fn check_no_pem(text: &str) {
    let body: Vec<&str> =
        PEM.lines().filter(|line| line.len() > 30 && !line.starts_with('-')).collect();
    let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    for part in body.concat().as_bytes().windows(SECRET_BYTES_MIN) {
        let part = std::str::from_utf8(part).unwrap();
        assert!(!squeezed.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_secret_is_found_in_each_of_its_forms() {
    check("nothing", "nothing");
    check("a short one stays", "a short one stays");
    check(&format!("<{SECRET}{SECRET}>"), "<[redacted]>");
    check(&json!({ "s": SECRET }).to_string(), r#"{"s":"[redacted]"}"#);
    let nested = json!({ "s": json!({ "s": SECRET }).to_string() }).to_string();
    check(&nested, r#"{"s":"{\"s\":\"[redacted]\"}"}"#);
    check("s=It%27s%20a%20%22Secret%22%20to%20Everybody&t=1", "s=[redacted]&t=1");
    check("s=It's+a+\"Secret\"+to+Everybody", "s=[redacted]");
    check(&format!("é{}é", hex::encode(SECRET)), "é[redacted]é");
    check(&hex::encode_upper((200..232).collect::<Vec<u8>>()), REDACTED);
    check(&format!("a={}.", STANDARD.encode(SECRET)), "a=[redacted].");
    check(&format!("a={}.", URL_SAFE_NO_PAD.encode(SECRET)), "a=[redacted].");
    check("the key MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw alone", "the key [redacted] alone");
}

/// As in the header of HTTP's basic authentication.
#[test]
fn a_secret_is_found_within_encoded_text() {
    for before in ["", "u", "us", "use", "user"] {
        for behind in ["", ":", "::"] {
            let text = STANDARD.encode(format!("{before}{SECRET}{behind}"));
            let clean = redaction().text(text.as_str()).into_owned();
            assert!(clean.contains(REDACTED), "{before}…{behind}: {clean}");
            // What is left of the secret are the bits that it shares with its neighbours.
            assert!(clean.len() <= REDACTED.len() + 12, "{before}…{behind}: {clean}");
        }
    }
}

#[test]
fn a_secret_of_several_lines_is_found_however_they_are_written() {
    let lines: Vec<&str> = PEM.lines().collect();
    let indented = lines.iter().map(|line| format!("\t  {line}  ")).collect::<Vec<_>>().join("\n");
    let wrapped = |text: &str, width: usize| {
        let pieces = text.as_bytes().chunks(width).map(|piece| std::str::from_utf8(piece).unwrap());
        pieces.collect::<Vec<_>>().join("\n")
    };
    let crlf = PEM.replace('\n', "\r\n");
    for text in [
        PEM.to_owned(),
        crlf.clone(),
        PEM.replace('\n', "\r"),
        PEM.replace('\n', ""),
        PEM.replace('\n', " "),
        indented,
        lines.iter().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n"),
        lines.iter().rev().copied().collect::<Vec<_>>().join("\n"),
        json!(PEM).to_string(),
        json!(crlf).to_string(),
        json!({ "key": json!({ "key": PEM }).to_string() }).to_string(),
        wrapped(&PEM.replace('\n', ""), 40),
        wrapped(&STANDARD.encode(PEM), 76),
        wrapped(&hex::encode(PEM), 60),
        STANDARD.encode(&crlf),
        PEM.replace('\n', "%0A").replace('+', "%2B").replace('/', "%2f"),
    ] {
        let clean = redaction().text(text.as_str()).into_owned();
        check_no_pem(&clean);
        assert!(clean.contains(REDACTED), "{text}: {clean}");
        let (encoded, digits) = (STANDARD.encode(PEM), hex::encode(PEM));
        let squeezed = clean.replace('\n', "");
        assert!(!squeezed.contains(&encoded[40..56]) && !squeezed.contains(&digits[80..96]));
    }
}

#[test]
fn lines_stay_lines_and_short_ones_are_no_secrets() {
    let clean = redaction().text(PEM).into_owned();
    assert_eq!(clean, "[redacted]\n".repeat(6));
    check("x9/Q and\nx9/Q", "x9/Q and\nx9/Q");
    let secret = Secret::new(b"a\nb\nsecond-line\nc\n".to_vec()).unwrap();
    let redaction = Redaction::of([&secret]).unwrap();
    assert_eq!(redaction.text("a b c\nab\nsecond-line"), "a b c\nab\n[redacted]");
}

/// As a service account's key is kept.
#[test]
fn a_secret_within_a_secret_is_found_line_by_line() {
    let account = json!({ "type": "service_account", "private_key": PEM }).to_string();
    let redaction = Redaction::of([&Secret::new(account.into()).unwrap()]).unwrap();
    check_no_pem(&redaction.text(PEM));
}

#[test]
fn keys_and_tokens_are_found_by_their_look() {
    let digits = "0123456789abcdef";
    for prefix in ["hlk_", "hlk-cmd-", "hlk_wrk_", "hlk_boot_"] {
        check(&format!("key={prefix}{digits}, yes"), "key=[redacted], yes");
    }
    for kept in ["hlk_", "hlk_…", "hlk-cmd-01234567", "hlk_test and a few more words"] {
        check(kept, kept);
    }
}

#[test]
fn overlapping_secrets_leave_nothing() {
    let secrets = ["abcdefgh", "efghijkl"].map(|text| Secret::new(text.into()).unwrap());
    let redaction = Redaction::of(&secrets).unwrap();
    assert_eq!(redaction.text("-abcdefghijkl-"), "-[redacted]-");
}

#[test]
fn json_keeps_its_shape() {
    let value = json!({ "a": [SECRET, 12345678, 1.5, null], SECRET: { "b": true } });
    let wanted = json!({ "a": [REDACTED, REDACTED, 1.5, null], REDACTED: { "b": true } });
    assert_eq!(redaction().json(value), wanted);
}

#[test]
fn a_redaction_does_not_show_what_it_knows() {
    assert!(!format!("{:?}", redaction()).contains("Everybody"));
}

fn named() -> Redaction {
    let values = [
        ("TOKEN", &b"hunter2-hunter2"[..]),
        ("LONGER", b"hunter2-hunter2-and-more"),
        ("PEM", b"-----BEGIN-----\r\nsecretline\nshort\n"),
        ("SHORT", b"1234567"),
    ];
    Redaction::named(values).unwrap()
}

fn streamed<'c>(redaction: &Redaction, chunks: impl IntoIterator<Item = &'c [u8]>) -> String {
    let mut strand = Strand::new(redaction);
    let mut free = Vec::new();
    for chunk in chunks {
        free.extend(strand.push(chunk));
    }
    free.extend(strand.finish());
    String::from_utf8(free).unwrap()
}

#[test]
fn values_are_replaced_by_their_names() {
    for (text, wanted) in [
        ("the token is hunter2-hunter2.", "the token is [redacted:TOKEN]."),
        ("hunter2-hunter2-and-more", "[redacted:LONGER]"),
        ("hunter2-hunter2-and-mor", "[redacted:TOKEN]-and-mor"),
        ("hunter2-hunter2hunter2-hunter2", "[redacted:TOKEN]"),
        ("hunter2-hunter", "hunter2-hunter"),
        ("a\nsecretline\nshort", "a\n[redacted:PEM]\nshort"),
        ("1234567", "1234567"),
    ] {
        assert_eq!(streamed(&named(), [text.as_bytes()]), wanted);
    }
}

#[test]
fn a_whole_line_is_not_held_back() {
    let redaction = named();
    let mut strand = Strand::new(&redaction);
    assert_eq!(strand.push(b"he said hu"), b"he said ");
    assert_eq!(strand.push(b"n\n"), b"hun\n");
    // This may be nothing else.
    assert_eq!(strand.push(b"hunter2-hun\n"), b"");
    assert_eq!(strand.push(b"ter2\n"), b"", "it may be the longer one");
    assert_eq!(strand.push(b"no\n"), b"[redacted:TOKEN]\n[redacted:TOKEN]\nno\n");
    assert_eq!(strand.push(b"hunter2-hun\n"), b"");
    assert_eq!(strand.push(b"dred\n"), b"hunter2-hun\ndred\n");
}

#[test]
fn no_more_is_held_back_than_a_secret_takes() {
    let redaction = named();
    let mut strand = Strand::new(&redaction);
    let mut left = strand.push(b"hunter2-hun").len();
    for _ in 0..1000 {
        left += strand.push(&[b' '; 64]).len();
    }
    assert!(left > 60_000, "{left}");
}

/// Each portion is kept before the next one comes.
fn portions(portions: &[(&str, bool)]) -> Vec<String> {
    let (redaction, mut trail) = (redaction(), Trail::default());
    let mut kept = Vec::new();
    for (text, goes_on) in portions {
        let mut line = (*text).to_owned();
        redaction.lines(&mut trail, &mut [&mut line], |_| *goes_on);
        kept.push(line);
    }
    kept
}

#[test]
fn what_was_cut_brings_no_half_to_light() {
    let (head, tail) = SECRET.split_at(11);
    let cut = [(&*format!("say {head}"), true), (&*format!("{tail}, please"), false)];
    assert_eq!(portions(&cut), ["say [redacted]", "[redacted], please"]);
    let key = "hlk_0123456789abcdef0123456789abcdef";
    let cut = [(&*format!("key {}", &key[..9]), true), (&*format!("{} yes", &key[9..]), false)];
    assert_eq!(portions(&cut), ["key [redacted]", "[redacted] yes"]);
    // Lines that end are taken for half a secret only when they are that much.
    let lines = [("the tale: It's a \"Sec", false), ("ret\" to Everybody", false), ("now", false)];
    assert_eq!(portions(&lines), ["the tale: It's a \"Sec", "[redacted]", "now"]);
    let lines = [("It's a \"Secret\" t", false), ("o Everybody", false)];
    assert_eq!(portions(&lines), ["[redacted]", "[redacted]"]);
    assert_eq!(portions(&[("It's a", false), ("fine day", false)]), ["It's a", "fine day"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reads_may_end_anywhere(parts in prop::collection::vec(
        prop_oneof!["[hu\\\\%]{0,3}", Just("hunter2-hunter2".to_owned()),
                    Just("hunter2-hunter2-and".to_owned()), Just("secretline".to_owned())],
        0..8), cut in 1..9_usize) {
        let text = parts.concat();
        let whole = streamed(&named(), [text.as_bytes()]);
        prop_assert_eq!(streamed(&named(), text.as_bytes().chunks(cut)), whole.clone());
        prop_assert!(!whole.contains("hunter2-hunter2") && !whole.contains("secretline"));
    }

    #[test]
    fn a_stream_shows_nothing_of_a_key(before in 0..80_usize, cut in 1..200_usize, crlf: bool) {
        let pem = if crlf { PEM.replace('\n', "\r\n") } else { PEM.to_owned() };
        let text = format!("{}{pem}behind", "x".repeat(before));
        let redaction = redaction();
        let clean = streamed(&redaction, text.as_bytes().chunks(cut));
        check_no_pem(&clean);
        prop_assert!(clean.starts_with(&"x".repeat(before)) && clean.ends_with("\nbehind"), "{clean}");
    }

    #[test]
    fn lines_cut_anywhere_show_nothing_of_a_key(before in 0..80_usize, cut in 1..200_usize) {
        let text = format!("{}{}", "x".repeat(before), PEM.replace('\n', ""));
        let cut: Vec<&str> = text.as_bytes().chunks(cut).map(|c| std::str::from_utf8(c).unwrap()).collect();
        let cut: Vec<(&str, bool)> = cut.into_iter().map(|piece| (piece, true)).collect();
        check_no_pem(&portions(&cut).concat());
    }
}
