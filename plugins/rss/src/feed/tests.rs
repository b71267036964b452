use super::*;

const URL: &str = "https://site.example/feeds/all.xml";

fn parse(document: &str) -> Feed {
    Feed::parse(document.as_bytes(), None, URL).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn plain(text: &str) -> Option<Text> {
    Some(Text::Plain(text.to_owned()))
}

fn html(text: &str) -> Option<Text> {
    Some(Text::Html(text.to_owned()))
}

fn id(means: Means, text: &str) -> Id {
    Id { text: text.to_owned(), means }
}

fn item(fields: &str) -> Item {
    let mut items = parse(&format!("<rss><channel><item>{fields}</item></channel></rss>")).items;
    assert_eq!(items.len(), 1, "{fields}");
    items.remove(0)
}

fn entry(fields: &str) -> Item {
    let mut items = parse(&format!("<feed><entry>{fields}</entry></feed>")).items;
    assert_eq!(items.len(), 1, "{fields}");
    items.remove(0)
}

fn title(item: &Item) -> Option<String> {
    item.title.as_ref().and_then(|title| title.line(1000))
}

fn summary(item: &Item) -> Option<String> {
    item.summary.as_ref().and_then(|summary| summary.paragraphs(1000))
}

#[test]
fn rss_2() {
    let feed = parse(include_str!("../../feeds/rss2.xml"));
    let wanted = Feed {
        title: html("Tide & Weather"),
        link: some("https://tide.example/"),
        items: vec![
            Item {
                id: id(Means::Place, "https://tide.example/2"),
                title: html("High <tide> — café \u{a0}".trim_end()),
                link: some("https://tide.example/2"),
                summary: html("All of it"),
                author: html("A. Moon"),
                categories: vec![],
                date: some("Mon, 07 Jan 2026 12:00:00 GMT"),
                published: some("2026-01-07T12:00:00Z").map(|date| date.parse().unwrap()),
            },
            Item {
                id: id(Means::Place, "tide-1"),
                title: html("Low tide"),
                link: some("https://tide.example/1"),
                summary: html("<p>At <b>six</b> &amp; later</p>"),
                author: None,
                categories: vec![Text::Html("tide".to_owned()), Text::Html("low".to_owned())],
                date: some("Tue, 06 Jan 2026 06:00:00 +0100"),
                published: some("2026-01-06T05:00:00Z").map(|date| date.parse().unwrap()),
            },
        ],
        flaw: None,
    };
    assert_eq!(feed, wanted);
}

#[test]
fn rss_1() {
    let feed = parse(include_str!("../../feeds/rdf.xml"));
    let wanted = Feed {
        title: html("Old News"),
        link: some("https://old.example/"),
        items: vec![Item {
            id: id(Means::Place, "urn:old:1"),
            title: html("First"),
            link: some("https://old.example/1"),
            summary: html("Once upon a time"),
            author: html("Grandmother"),
            categories: vec![Text::Html("tales".to_owned())],
            date: some("2026-01-05"),
            published: some("2026-01-05T00:00:00Z").map(|date| date.parse().unwrap()),
        }],
        flaw: None,
    };
    assert_eq!(feed, wanted);
}

#[test]
fn atom() {
    let feed = parse(include_str!("../../feeds/atom.xml"));
    let wanted = Feed {
        title: plain("Releases"),
        link: some("https://code.example/?a=1&b=2"),
        items: vec![
            Item {
                id: id(Means::Item, "urn:release:2"),
                title: html("v2 &amp; more"),
                link: some("https://code.example/v2"),
                summary: plain("It is faster now."),
                author: plain("Ada"),
                categories: vec![Text::Plain("release".to_owned())],
                date: some("2026-01-08T10:00:00.5Z"),
                published: some("2026-01-08T10:00:00.5Z").map(|date| date.parse().unwrap()),
            },
            Item {
                id: id(Means::Item, "urn:release:1"),
                title: plain("v1"),
                link: None,
                summary: plain("The first"),
                author: plain("The Team"),
                categories: vec![],
                date: some("2026-01-01T00:00:00+02:00"),
                published: some("2025-12-31T22:00:00Z").map(|date| date.parse().unwrap()),
            },
        ],
        flaw: None,
    };
    assert_eq!(feed, wanted);
}

#[test]
fn json_feed() {
    let feed = parse(include_str!("../../feeds/feed.json"));
    let wanted = Feed {
        title: plain("Notes & more"),
        link: some("https://site.example/"),
        items: vec![
            Item {
                id: id(Means::Item, "2"),
                title: None,
                link: some("https://site.example/notes/2"),
                summary: html("<p>Caf&eacute; &amp; bar</p>"),
                author: plain("Ada"),
                categories: vec![Text::Plain("food".to_owned())],
                date: some("2026-01-08T10:00:00-05:00"),
                published: some("2026-01-08T15:00:00Z").map(|date| date.parse().unwrap()),
            },
            Item {
                id: id(Means::Place, "https://other.example/1"),
                title: plain("Seen & <kept>"),
                link: some("https://other.example/1"),
                summary: plain("As it is: &amp;"),
                author: plain("The Team"),
                categories: vec![],
                date: None,
                published: None,
            },
        ],
        flaw: None,
    };
    assert_eq!(feed, wanted);
}

#[test]
fn an_item_is_known_by_the_best_it_has() {
    for (fields, means, text) in [
        ("<guid> a </guid><link>b</link><title>c</title>", Means::Place, "a"),
        ("<guid/><link>b</link><title>c</title><pubDate>d</pubDate>", Means::Place, "b"),
        ("<link>/b</link><title>c</title>", Means::Place, "/b"),
        ("<title>c</title><pubDate>d</pubDate>", Means::Words, "c d"),
        ("<title>c</title><dc:date>d</dc:date>", Means::Words, "c d"),
        ("<title>c</title>", Means::Words, "c"),
        ("<description>only this</description>", Means::Words, "only this"),
        ("<description>this</description><pubDate>d</pubDate>", Means::Words, "d this"),
        ("<enclosure url='/a.mp3'/>", Means::Place, "/a.mp3"),
    ] {
        assert_eq!(item(fields).id, id(means, text), "{fields}");
    }
    assert_eq!(entry("<id>a</id><link href='b'/>").id, id(Means::Item, "a"));
    assert_eq!(entry("<link href='b'/>").id, id(Means::Place, "b"));
    assert_eq!(entry("<title>c</title>").id, id(Means::Words, "c"));
    let empty = parse("<rss><channel><item/><item><guid> </guid></item></channel></rss>");
    assert!(empty.items.is_empty() && empty.flaw.is_none());
}

#[test]
fn a_guid_is_a_link_only_where_it_can_be_one() {
    for (fields, link) in [
        ("<guid>https://a.b/1</guid>", some("https://a.b/1")),
        ("<guid isPermaLink='true'>https://a.b/1</guid>", some("https://a.b/1")),
        ("<guid isPermaLink='TRUE'>/1</guid>", some("https://site.example/1")),
        ("<guid isPermaLink='false'>https://a.b/1</guid>", None),
        ("<guid isPermaLink=false>https://a.b/1</guid>", None),
        ("<guid>urn:1</guid>", None),
        ("<guid>/1</guid>", None),
        ("<guid>https://a.b/1</guid><link>https://a.b/2</link>", some("https://a.b/2")),
    ] {
        assert_eq!(item(fields).link, link, "{fields}");
    }
}

#[test]
fn a_link_is_absolute() {
    let base = "<x xml:base='//other.example/a/'/>";
    for (fields, link) in [
        ("<title>t</title><link>/posts/1</link>", "https://site.example/posts/1"),
        ("<link>posts/1</link>", "https://site.example/feeds/posts/1"),
        ("<link>//other.example/1</link>", "https://other.example/1"),
        ("<link>?p=1&b=2</link>", "https://site.example/feeds/all.xml?p=1&b=2"),
        ("<link> https://a.b/1?x=1&y=2\n</link>", "https://a.b/1?x=1&y=2"),
        ("<link>https://a.b/not%20again encoded</link>", "https://a.b/not%20again encoded"),
        ("<link>mailto:a@b.c</link>", "mailto:a@b.c"),
        ("<link href='/1'/>", "https://site.example/1"),
        ("<atom:link rel='self' href='/0'/><atom:link href='/1'/>", "https://site.example/1"),
        ("<title>t</title><enclosure url='/a.mp3'/>", "https://site.example/a.mp3"),
        (
            "<guid>g</guid><media:group><media:content url='/a.mp4'/></media:group>",
            "https://site.example/a.mp4",
        ),
        (base, ""),
    ] {
        if fields != base {
            assert_eq!(item(fields).link.as_deref(), Some(link), "{fields}");
        }
    }
    for (feed, entry, href, link) in [
        ("", "", "opam/", "https://site.example/feeds/opam/"),
        ("https://blog.example/", "2026/09/", "post", "https://blog.example/2026/09/post"),
        ("https://blog.example/", "", "/post", "https://blog.example/post"),
        ("//blog.example/a/b", "", "c", "https://blog.example/a/c"),
        ("https://blog.example/", "https://a.b/c/", "d", "https://a.b/c/d"),
        ("https://blog.example/", "http://[", "d", "https://blog.example/d"),
        ("https://blog.example/", "", "https://a.b/", "https://a.b/"),
    ] {
        let feed = parse(&format!(
            "<feed xml:base='{feed}'><link href='.'/><entry xml:base='{entry}'><id>1</id>\
             <link rel='enclosure' href='no'/><link rel='alternate' href='{href}'/></entry></feed>"
        ));
        assert_eq!(feed.items[0].link.as_deref(), Some(link), "{feed:?}");
        assert!(feed.link.unwrap().starts_with("https://"));
    }
}

#[test]
fn texts_are_what_their_type_says() {
    for (fields, wanted) in [
        ("<title>A &amp;amp; B &lt;i&gt;c&lt;/i&gt;</title>", "A & B c"),
        ("<title><![CDATA[It&#8217;s &amp; <b>so</b>]]></title>", "It’s & so"),
        ("<title>caf&eacute; &nbsp;&mdash;&nbsp;bar</title>", "café — bar"),
        ("<title>R&D; and & more & <b>so</b> on</title>", "R&D; and & more & so on"),
        ("<title>1 < 2</title>", "1 < 2"),
        ("<title>a\n   b</title>", "a b"),
        ("<media:title>no</media:title><title>yes</title>", "yes"),
        ("<guid>1</guid><media:title>this</media:title>", "this"),
    ] {
        assert_eq!(title(&item(fields)).as_deref(), Some(wanted), "{fields}");
    }
    for (fields, wanted) in [
        ("<title>A &amp;amp; &lt;b&gt;</title>", "A &amp; <b>"),
        ("<title type='text'>A &amp;amp; B</title>", "A &amp; B"),
        ("<title type='html'>A &amp;amp; &lt;b&gt;B&lt;/b&gt;</title>", "A & B"),
        ("<title type='text/html' mode='escaped'>A &amp;amp; B</title>", "A & B"),
        ("<title type='html'><![CDATA[A &amp; <b>B</b>]]></title>", "A & B"),
        (
            "<title type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>\n A <em>&lt;</em>\n\
             <b>B</b></div></title>",
            "A < B",
        ),
        (
            "<title type='xhtml'><h:div xmlns:h='http://www.w3.org/1999/xhtml'>A</h:div></title>",
            "A",
        ),
        ("<title type='application/xhtml+xml'><div>A</div></title>", "A"),
        ("<title type='nonsense'>A</title>", "A"),
    ] {
        assert_eq!(title(&entry(fields)).as_deref(), Some(wanted), "{fields}");
    }
    for (fields, wanted) in [
        ("<summary/><content type='html'>&lt;p&gt;a&lt;p&gt;b</content>", some("a\nb")),
        ("<content type='xhtml'><div><p>a <b>b</b></p><p>c</p></div></content>", some("a b\nc")),
        ("<content type='image/png'>iVBORw0KGgo=</content>", None),
        ("<content type='text/markdown'>*a*</content>", some("*a*")),
        ("<content src='/a.html'/>", None),
        ("<media:group><media:description>a</media:description></media:group>", some("a")),
    ] {
        assert_eq!(summary(&entry(&format!("<id>1</id>{fields}"))), wanted, "{fields}");
    }
    let unescaped = item("<description><p>a<br>b</p> <p>c</description><title>t</title>");
    assert_eq!((summary(&unescaped), title(&unescaped)), (some("a\nb\nc"), some("t")));
}

#[test]
fn roots_have_many_forms() {
    let item = "<item><title>t</title></item>";
    for root in [
        "rss version='2.0'",
        "rss",
        "rss version='0.92'",
        "RSS",
        "rss xmlns='http://blogs.law.harvard.edu/tech/rss'",
        "rss xmlns='http://backend.userland.com/RSS2'",
        "rss xmlns='https://unheard.of/'",
        "rss xmlns='http://www.w3.org/2005/Atom'",
        "x:rss xmlns:x='http://backend.userland.com/rss2' xmlns='http://backend.userland.com/rss2'",
    ] {
        let name = root.split_whitespace().next().unwrap();
        let feed = parse(&format!("<{root}><channel>{item}</channel></{name}>"));
        assert_eq!(title(&feed.items[0]).as_deref(), Some("t"), "{root}");
        assert_eq!(feed.flaw, None, "{root}");
    }
    let rdf = "xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'";
    for document in [
        format!("<rdf:RDF {rdf} xmlns='http://purl.org/rss/1.0/'><channel/>{item}</rdf:RDF>"),
        format!(
            "<rdf:RDF {rdf} xmlns='http://channel.netscape.com/rdf/simple/0.9/'>\
             <channel><title>T</title></channel>{item}</rdf:RDF>"
        ),
        format!("<RDF xmlns='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><channel/>{item}</RDF>"),
        format!("<Channel xmlns='http://purl.org/net/rss1.1#'><items>{item}</items></Channel>"),
        "<feed><entry><title>t</title></entry></feed>".to_owned(),
        "<feed xmlns='http://purl.org/atom/ns#'><entry><title>t</title></entry></feed>".to_owned(),
        "<a:feed xmlns:a='http://www.w3.org/2005/Atom'><a:entry><a:title>t</a:title></a:entry>\
         </a:feed>"
            .to_owned(),
        format!("<!DOCTYPE rss SYSTEM 'x.dtd'>\n<rss><channel>{item}</channel></rss>"),
        format!("Warning: this\n<rss><channel>{item}</channel></rss>\n<!-- cached -->"),
        format!("<rss><channel>{item}</channel></rss><script src='x.js'></script>"),
        format!("<rss><channel>{item}</channel></rss> </div> & more <"),
        format!("<script>x</script><rss><channel>{item}</channel></rss>"),
    ] {
        let feed = parse(&document);
        assert_eq!(title(&feed.items[0]).as_deref(), Some("t"), "{document}");
        assert_eq!(feed.items.len(), 1, "{document}");
    }
}

#[test]
fn empty_feeds_are_feeds() {
    for document in [
        "<rss/>",
        "<rss><channel/></rss>",
        "<rss version='2.0'><channel><title>T</title></channel></rss>",
        "<feed xmlns='http://www.w3.org/2005/Atom'/>",
        "{\"items\": []}",
    ] {
        match Feed::parse(document.as_bytes(), None, URL) {
            Ok(feed) => assert!(feed.items.is_empty() && feed.flaw.is_none(), "{document}"),
            Err(error) => assert_eq!(error, "not a feed: there is no <channel>", "{document}"),
        }
    }
}

#[test]
fn what_is_broken_costs_what_it_stands_in() {
    let good = |name: &str| format!("<item><title>{name}</title></item>");
    let titles = |inner: &str| {
        let feed = parse(&format!("<rss><channel>{inner}"));
        let titles = feed.items.iter().map(|item| title(item).unwrap_or_default());
        (titles.collect::<Vec<_>>().join(" "), feed.flaw.is_some())
    };
    for (inner, wanted, flawed) in [
        (
            format!("{}<item><title>b</item>{}</channel></rss>", good("a"), good("c")),
            "a b c",
            false,
        ),
        (format!("{}</p></i>{}</channel></rss>", good("a"), good("b")), "a b", false),
        (
            format!("{}<item a=1 b c='&x'><title>b</title></item></channel></rss>", good("a")),
            "a b",
            false,
        ),
        (format!("{}<x:y z:a='1'/>{}</channel></rss>", good("a"), good("b")), "a b", false),
        (format!("{}{}<item><title>cut o", good("a"), good("b")), "a b", true),
        (format!("{}<item><title>b</title></item><![CDATA[ for ever", good("a")), "a b", true),
        (format!("{}</channel></rss", good("a")), "a", true),
    ] {
        assert_eq!(titles(&inner), (wanted.to_owned(), flawed), "{inner}");
    }
}

#[test]
fn the_newest_comes_first_where_dates_tell() {
    let ids = |items: &[(&str, &str)]| {
        let item = |(id, date): &(&str, &str)| {
            format!("<item><guid>{id}</guid><pubDate>{date}</pubDate></item>")
        };
        let items: String = items.iter().map(item).collect();
        let feed = parse(&format!("<rss><channel>{items}</channel></rss>"));
        feed.items.into_iter().map(|item| item.id.text).collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&[("a", "2026-01-01"), ("b", "Sat, 3 Jan 2026 00:00:00 CET"), ("c", "2026-01-02")]),
        ["b", "c", "a"]
    );
    assert_eq!(ids(&[("a", "2026-01-01"), ("b", "soon"), ("c", "2026-01-02")]), ["a", "b", "c"]);
}

#[test]
fn a_date_is_the_first_that_is_one() {
    let fields = "<pubDate>soon</pubDate><dc:date>2026-01-02</dc:date><title>t</title>";
    let item = item(fields);
    assert_eq!(item.date.as_deref(), Some("soon"));
    assert_eq!(item.published.map(crate::date::rfc3339).as_deref(), Some("2026-01-02T00:00:00Z"));
}

#[test]
fn what_is_no_feed_says_why_in_few_words() {
    let deep = "<a>".repeat(10_000);
    let long = format!("<{}>", "x".repeat(10_000));
    for (document, wanted) in [
        ("", "nothing in it"),
        ("just text", "nothing in it"),
        ("{\"version\": \"https://jsonfeed.org\"}", "no `items`"),
        ("{\"items\": ", "begins like JSON"),
        ("{\"items\": 1}", "no `items`"),
        ("<html><body><br></body></html>", "it is an HTML page"),
        ("<!DOCTYPE html>\n<title>x</title><p>y", "it is an HTML page"),
        (
            "<html><head><link rel=alternate type='application/rss+xml' href='/feed.xml'></head>",
            "it is an HTML page, which names the feed https://site.example/feed.xml",
        ),
        ("<svg/>", "<svg> is none of"),
        ("<rss><channel>", "it ends within <channel>"),
        ("<rss><channel", "at byte"),
        ("<rss", "at byte"),
        (&deep, "<a> is none of"),
        (&long, "is none of"),
    ] {
        let reason = Feed::parse(document.as_bytes(), None, URL).unwrap_err();
        assert!(reason.starts_with("not a feed: ") && reason.contains(wanted), "{reason}");
        assert!(reason.len() < 350, "{}", reason.len());
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
    assert_eq!(parse(&laughs).title, html("&a19;&file;&"));
}

#[test]
fn everything_has_a_longest_form() {
    let long = "é".repeat(20_000);
    let categories = format!("<category>{long}</category>").repeat(30);
    let item = item(&format!("<link>{long}</link><title>t</title>{categories}"));
    assert!(item.id.text.len() <= WORD_BYTES_MAX + 3);
    assert!(item.link.unwrap().len() <= 6 * WORD_BYTES_MAX);
    assert_eq!(item.categories.len(), CATEGORIES_MAX);
    let many =
        format!("<rss><channel>{}</channel></rss>", "<item><guid>1</guid></item>".repeat(24_002));
    let feed = parse(&many);
    assert_eq!(feed.items.len(), ITEMS_MAX);
    assert_eq!(feed.flaw.as_deref(), Some("it has 2 items beyond the first 24000"));
}

/// Of what an item has too much, the rest is left out; the item is not, and neither are others.
#[test]
fn one_item_cannot_be_everything() {
    let wide = format!("<item><title>a</title>{}</item>", "<x/>".repeat(50_000));
    let deep = format!("<item><title>b</title>{}</item>", "<x>".repeat(50_000));
    let feed = parse(&format!("<rss><channel>{wide}<item><title>c</title></item>{deep}"));
    let titles: Vec<_> = feed.items.iter().filter_map(title).collect();
    assert_eq!(titles, ["a", "c"]);
    let outside = format!(
        "<rss><channel>{}<item><title>a</title></item></channel></rss>",
        "<x/>".repeat(50_000)
    );
    assert_eq!(parse(&outside).items.len(), 1);
}

proptest::proptest! {
    #[test]
    fn no_document_ends_it(
        text in "[<>&;/a-z\"'=! \\[\\]{}:-]{0,80}",
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
    ) {
        let inner = format!("<rss><channel><item>{text}</item></channel></rss>");
        for document in [text.as_bytes(), inner.as_bytes(), &bytes] {
            let _ = Feed::parse(document, Some("text/xml; charset=koi8-r"), URL);
        }
    }
}
