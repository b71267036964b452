use super::*;

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    Some(text.parse().unwrap())
}

fn item(fields: &str) -> Item {
    let feed = format!("<rss><channel><item>{fields}</item></channel></rss>");
    let mut items = Feed::parse(feed.as_bytes()).unwrap().items;
    assert_eq!(items.len(), 1, "{fields}");
    items.remove(0)
}

#[test]
fn rss_2() {
    let feed = Feed::parse(include_bytes!("../../feeds/rss2.xml")).unwrap();
    let wanted = Feed {
        title: some("Tide & Weather"),
        link: some("https://tide.example/"),
        items: vec![
            Item {
                id: "https://tide.example/2".to_owned(),
                title: some("High <tide> — café &nbsp;"),
                link: some("https://tide.example/2"),
                summary: some("All of it"),
                author: some("A. Moon"),
                categories: vec![],
                published: date("2026-01-07T12:00:00Z"),
            },
            Item {
                id: "tide-1".to_owned(),
                title: some("Low tide"),
                link: some("https://tide.example/1"),
                summary: some("<p>At <b>six</b> &amp; later</p>"),
                author: None,
                categories: vec!["tide".to_owned(), "low".to_owned()],
                published: date("2026-01-06T05:00:00Z"),
            },
        ],
    };
    assert_eq!(feed, wanted);
}

#[test]
fn rss_1() {
    let feed = Feed::parse(include_bytes!("../../feeds/rdf.xml")).unwrap();
    let wanted = Feed {
        title: some("Old News"),
        link: some("https://old.example/"),
        items: vec![Item {
            id: "urn:old:1".to_owned(),
            title: some("First"),
            link: some("https://old.example/1"),
            summary: some("Once upon a time"),
            author: some("Grandmother"),
            categories: vec!["tales".to_owned()],
            published: date("2026-01-05T00:00:00Z"),
        }],
    };
    assert_eq!(feed, wanted);
}

#[test]
fn atom() {
    let feed = Feed::parse(include_bytes!("../../feeds/atom.xml")).unwrap();
    let wanted = Feed {
        title: some("Releases"),
        link: some("https://code.example/?a=1&b=2"),
        items: vec![
            Item {
                id: "urn:release:2".to_owned(),
                title: some("v2 &amp; more"),
                link: some("https://code.example/v2"),
                summary: some("It is faster now."),
                author: some("Ada"),
                categories: vec!["release".to_owned()],
                published: date("2026-01-08T10:00:00.5Z"),
            },
            Item {
                id: "urn:release:1".to_owned(),
                title: some("v1"),
                link: None,
                summary: some("The first"),
                author: some("The Team"),
                categories: vec![],
                published: date("2025-12-31T22:00:00Z"),
            },
        ],
    };
    assert_eq!(feed, wanted);
}

#[test]
fn an_item_is_known_by_the_best_it_has() {
    for (fields, id) in [
        ("<guid> a </guid><link>b</link><title>c</title><pubDate>d</pubDate>", "a"),
        ("<guid/><link>b</link><title>c</title><pubDate>d</pubDate>", "b"),
        ("<link>b</link><title>c</title>", "b"),
        ("<title>c</title><pubDate>d</pubDate>", "c d"),
        ("<title>c</title><dc:date>d</dc:date>", "c d"),
        ("<title>c</title>", "c"),
        ("<description>only this</description><title>c</title>", "c"),
    ] {
        assert_eq!(item(fields).id, id, "{fields}");
    }
    let nameless = b"<rss><channel><item><description>x</description></item></channel></rss>";
    assert!(Feed::parse(nameless).unwrap().items.is_empty());
}

#[test]
fn a_guid_is_a_link_only_where_it_says_so() {
    for (fields, link) in [
        ("<guid>https://a.b/1</guid>", some("https://a.b/1")),
        ("<guid isPermaLink='true'>https://a.b/1</guid>", some("https://a.b/1")),
        ("<guid isPermaLink='false'>https://a.b/1</guid>", None),
        ("<guid>urn:1</guid>", None),
        ("<guid>https://a.b/1</guid><link>https://a.b/2</link>", some("https://a.b/2")),
    ] {
        assert_eq!(item(fields).link, link, "{fields}");
    }
}

#[test]
fn dates_come_in_many_forms() {
    for (text, wanted) in [
        ("Wed, 07 Jan 2026 12:00:00 GMT", date("2026-01-07T12:00:00Z")),
        ("Mon, 7 Jan 2026 12:00 -0500", date("2026-01-07T17:00:00Z")),
        ("07 Jan 2026 12:00:00 EST", date("2026-01-07T17:00:00Z")),
        ("2026-01-07T12:00:00+01:00", date("2026-01-07T11:00:00Z")),
        ("2026-01-07 12:00:00Z", date("2026-01-07T12:00:00Z")),
        ("2026-01-07", date("2026-01-07T00:00:00Z")),
        ("yesterday", None),
        ("", None),
        ("Wed, 32 Jan 2026 12:00:00 GMT", None),
        ("99999999999-01-07", None),
    ] {
        assert_eq!(parse_date(text), wanted, "{text}");
    }
}

#[test]
fn the_newest_comes_first_where_dates_tell() {
    let ids = |items: &[(&str, &str)]| {
        let item = |(id, date): &(&str, &str)| {
            format!("<item><guid>{id}</guid><pubDate>{date}</pubDate></item>")
        };
        let items: String = items.iter().map(item).collect();
        let feed = Feed::parse(format!("<rss><channel>{items}</channel></rss>").as_bytes());
        feed.unwrap().items.into_iter().map(|item| item.id).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&[("a", "2026-01-01"), ("b", "2026-01-03"), ("c", "2026-01-02")]),
        ["b", "c", "a"]
    );
    assert_eq!(ids(&[("a", "2026-01-01"), ("b", "soon"), ("c", "2026-01-02")]), ["a", "b", "c"]);
}

#[test]
fn old_encodings_are_read_where_they_are_declared() {
    let feed = |encoding: &str, title: &[u8]| {
        let head = format!("<?xml version='1.0' encoding='{encoding}'?><rss><channel><title>");
        let body = [head.as_bytes(), title, b"</title></channel></rss>"].concat();
        Feed::parse(&body).map(|feed| feed.title.unwrap())
    };
    assert_eq!(feed("ISO-8859-1", b"caf\xe9").unwrap(), "café");
    assert_eq!(feed("ISO-8859-1", "café".as_bytes()).unwrap(), "café");
    assert!(feed("Shift_JIS", b"\x83\x65").unwrap_err().contains("neither UTF-8 nor Latin-1"));
    let marked = "\u{feff}<rss><channel><title>x</title></channel></rss>";
    assert!(Feed::parse(marked.as_bytes()).is_ok());
}

#[test]
fn what_is_no_feed_says_why_in_few_words() {
    let deep = "<a>".repeat(10_000);
    let many = format!("<rss><channel>{}</channel></rss>", "<a/>".repeat(100_001));
    let long = format!("<{}>", "x".repeat(10_000));
    for (document, wanted) in [
        ("", "there is nothing in it"),
        ("just text", "there is nothing in it"),
        ("{\"version\": \"https://jsonfeed.org\"}", "there is nothing in it"),
        ("<html><body/></html>", "<html> is none of"),
        ("<feed/>", "<feed> is none of"),
        ("<rss/>", "there is no <channel>"),
        ("<rss><channel>", "it ends within <channel>"),
        ("<rss><channel></rss>", "at byte"),
        ("<rss><channel", "at byte"),
        ("<rss></channel>", "at byte"),
        ("<rss>&", "at byte"),
        (&deep, "nested deeper than 100"),
        (&many, "more than 100000"),
        (&long, "it ends within"),
    ] {
        let reason = Feed::parse(document.as_bytes()).unwrap_err();
        assert!(reason.starts_with("not a feed: ") && reason.contains(wanted), "{reason}");
        assert!(reason.len() < 250, "{}", reason.len());
    }
}

#[test]
fn entities_do_not_grow() {
    let mut laughs = "<!DOCTYPE rss [<!ENTITY a0 \"ha\">".to_owned();
    for i in 1..20 {
        let ten = format!("&a{};", i - 1).repeat(10);
        laughs.push_str(&format!("<!ENTITY a{i} \"{ten}\">"));
    }
    laughs.push_str("<!ENTITY file SYSTEM \"file:///etc/passwd\">]>");
    laughs.push_str("<rss><channel><title x=\"&a19;\">&a19;&file;&amp;</title></channel></rss>");
    assert_eq!(Feed::parse(laughs.as_bytes()).unwrap().title, some("&a19;&file;&"));
}

#[test]
fn everything_has_a_longest_form() {
    let long = "é".repeat(20_000);
    let categories = format!("<category>{long}</category>").repeat(30);
    let item = item(&format!(
        "<guid>1</guid><title>{long}</title><description>{long}</description>{categories}"
    ));
    assert!(item.title.unwrap().len() <= TEXT_BYTES_MAX + 3);
    assert!(item.summary.unwrap().len() <= SUMMARY_BYTES_MAX + 3);
    assert_eq!(item.categories.len(), CATEGORIES_MAX);
    assert!(item.categories[0].len() <= TEXT_BYTES_MAX + 3);
}
