use super::*;

fn line(html: &str) -> Option<String> {
    Text::Html(html.to_owned()).line(100)
}

fn paragraphs(html: &str) -> Option<String> {
    Text::Html(html.to_owned()).paragraphs(1000)
}

#[test]
fn a_title_is_what_a_browser_shows_in_one_line() {
    for (html, wanted) in [
        ("caf&eacute; &amp; bar&nbsp;&#8212; &#x2019;s", "café & bar — ’s"),
        ("It&#146;s 5&#128;", "It’s 5€"),
        ("<b>Bold</b> and <em class='x'>so</em> on", "Bold and so on"),
        ("one<br/>two", "one two"),
        ("  spread \n over\tlines ", "spread over lines"),
        ("&lt;b&gt; is an element", "<b> is an element"),
        ("a List<String> and <Tide>", "a List<String> and <Tide>"),
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("AT&T, Q&A & more", "AT&T, Q&A & more"),
        ("use <script> and <form> well", "use <script> and <form> well"),
        ("a\u{1b}[31m\u{0}b\u{7f}", "a[31mb"),
    ] {
        assert_eq!(line(html).as_deref(), Some(wanted), "{html}");
    }
    assert_eq!(line(" <br> &nbsp;<p></p> "), None);
    assert_eq!(Text::Plain("a &amp; <b>".to_owned()).line(100).unwrap(), "a &amp; <b>");
}

#[test]
fn a_summary_is_what_a_browser_shows_in_paragraphs() {
    for (html, wanted) in [
        ("<p>At <b>six</b> &amp; later</p>", "At six & later"),
        ("<p>One</p><p>Two</p>\n<div>Three<br>Four</div>", "One\nTwo\nThree\nFour"),
        ("<ul><li>a</li> <li>b</li></ul>", "- a\n- b"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("a <script>alert('x < y')</script><style>p{}</style>b<!-- c -->", "a b"),
        ("See <a href='/x'>this</a>.", "See this."),
        ("<p>cut off in <a hre", "cut off in"),
        ("no markup,\nbut lines &amp; <3", "no markup,\nbut lines & <3"),
        ("</p>stray</div>", "stray"),
    ] {
        assert_eq!(paragraphs(html).as_deref(), Some(wanted), "{html}");
    }
}

#[test]
fn names_of_html_are_known() {
    for (name, wanted) in [
        ("nbsp", Some("\u{a0}")),
        ("eacute", Some("é")),
        ("hellip", Some("…")),
        ("NotEqualTilde", Some("≂̸")),
        ("semi", Some(";")),
        ("D", None),
        ("notit", None),
        ("a0", None),
        ("", None),
        ("<b>x", None),
    ] {
        assert_eq!(entity(name).as_deref(), wanted, "{name}");
    }
}

#[test]
fn everything_has_a_longest_form() {
    assert_eq!(cut("é".repeat(10), 5), "éé…");
    let long = Text::Html("<p>é</p>".repeat(100_000));
    assert!(long.paragraphs(1000).unwrap().len() <= 1003);
    assert!(long.line(1000).unwrap().len() <= 1003);
    let deep = Text::Html("<script>".repeat(100_000));
    assert_eq!(deep.paragraphs(1000), None);
}

proptest::proptest! {
    #[test]
    fn no_text_ends_it(text in ".{0,60}", more in "[<>&;a-z/! =\"'#x0-9-]{0,60}") {
        for text in [text, more] {
            let html = Text::Html(text);
            let _ = (html.line(20), html.paragraphs(20), entity(html.raw()));
        }
    }
}
