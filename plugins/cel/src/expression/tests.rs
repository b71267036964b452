//! What is refused when it is saved, and that nothing makes it fall over.

use proptest::prelude::*;

use super::*;

fn problems(expression: &str) -> Vec<String> {
    let problems = Expression::compile(expression).err().unwrap_or_default();
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn mistakes_are_refused() {
    for (expression, problem) in [
        // Syntax.
        ("", "the expression is empty"),
        (" \n", "the expression is empty"),
        ("data.action ==", "1:15: Syntax error: mismatched input the end expecting expression"),
        ("data.x = 1", "1:8: Syntax error: mismatched input '=' expecting the end"),
        ("data.x == 'ä' and true", "1:15: Syntax error: mismatched input 'and' expecting the end"),
        ("true &&\n  data.x & true", "2:10: unexpected single '&', expected '&&'"),
        ("(data.x", "1:8: expected ')'"),
        ("'abc", "1:1: unterminated string literal"),
        ("data.?x == 1", "1:5: unsupported syntax '.?'"),
        ("`data`.x == 1", "1:1: unexpected quoted identifier"),
        ("data.`x == 1", "1:6: unterminated quoted identifier"),
        ("has(data)", "1:5: invalid argument to has() macro"),
        ("data.l.exists(l.x, true)", "1:16: argument must be a simple name"),
        ("data.n == 99999999999999999999", "1:11: invalid int literal"),
        // Names.
        ("action == 'opened'", "1:1: there is no variable `action`; did you mean `data.action`?"),
        ("data.l.exists(l, m == 1)", "1:18: there is no variable `m`; did you mean `data.m`?"),
        ("data.l.all(l, l) && l", "1:21: there is no variable `l`; did you mean `data.l`?"),
        ("'a' +\n 'ä' + b == ''", "2:8: there is no variable `b`; did you mean `data.b`?"),
        ("data.b == b", "1:11: there is no variable `b`; did you mean `data.b`?"),
        ("data.now == now()", "1:13: there is no function `now`"),
        ("data.l.all(data, data.x)", "1:12: `data` is a variable of the event already"),
        ("now() > 1", "1:1: there is no function `now`"),
        ("_(kind)", "1:1: there is no function `_`"),
        ("data.x.lowerAscii() == 'x'", "1:8: there is no function `lowerAscii`"),
        ("data.l.exist(l, l == 1)", "1:8: there is no function `exist`"),
        ("data.l.exists(true)", "1:8: `exists` is written `list.exists(x, condition)`"),
        ("exists(data.l, l, true)", "1:1: `exists` is written `list.exists(x, condition)`"),
        ("Issue{number: 1} == data.issue", "1:1: messages such as `Issue{…}` are not known here"),
        ("optional.of(1) == 1", "1:10: there is no function `of`"),
        // Calls.
        ("startsWith(kind, 'x')", "1:1: `startsWith` is written `value.startsWith(x)`"),
        ("kind.size(1) == 1", "1:6: `size` is written `size(x)` or `value.size()`"),
        ("depth.startsWith('x')", "1:7: `startsWith` does not take an int and a string"),
        ("kind.contains(5)", "1:6: `contains` does not take a string and an int"),
        ("size(5) == 1", "1:1: `size` does not take an int"),
        ("occurred_at.getHours() == 1", "1:13: `getHours` does not take a string"),
        ("kind.matches('(')", "1:6: the pattern \"(\" cannot be read: "),
        ("kind.matches(data.pattern)", "1:6: the pattern of `matches` must be written out"),
        ("kind.matches('a' + 'b')", "1:6: the pattern of `matches` must be written out"),
        ("timestamp('yesterday') < timestamp(received_at)", "1:1: `timestamp`: "),
        ("duration('5 days') > duration('1h')", "1:1: `duration`: "),
        ("int('x') == 1", "1:1: `int`: "),
        (
            "timestamp(received_at).getHours('Europe/Berlin') < 18",
            "1:24: `getHours`: unknown time zone Europe/Berlin",
        ),
        ("timestamp(received_at).getHours('+25:00') < 18", "1:24: `getHours`: timezone offset"),
        // Types.
        ("'text'", "`'text'` gives a string, not a bool"),
        ("1 + 2", "`1 + 2` gives an int, not a bool"),
        (
            "data.x + 'a' == 'b' && data.count * 2 - 1 > 1 && kind",
            "`kind` gives a string, not a bool",
        ),
        ("size(data.x)", "`size(data.x)` gives an int, not a bool"),
        ("[true]", "`[true]` gives a list, not a bool"),
        ("data.l.map(l, l.x)", "`data.l.map(l, l.x)` gives a list, not a bool"),
        ("null", "`null` gives null, not a bool"),
        ("data.x ? 1 : 2", "`data.x ? 1 : 2` gives an int, not a bool"),
        ("(kind && true)", "`&&` needs a bool, not a string"),
        ("data.x || 5", "`||` needs a bool, not an int"),
        ("!kind", "`!` needs a bool, not a string"),
        ("kind ? true : false", "`?:` needs a bool, not a string"),
        ("data.l.exists(l, 'x')", "`||` needs a bool, not a string"),
        ("data.l.filter(l, 1) == []", "`?:` needs a bool, not an int"),
        ("depth == '2'", "`==` does not take an int and a string"),
        ("kind != null", "`!=` does not take a string and null"),
        (
            "received_at > timestamp('2026-01-01T00:00:00Z')",
            "`>` does not take a string and a timestamp",
        ),
        ("[1] < [2]", "`<` does not take a list and a list"),
        ("depth + 1.5 > 2.0", "`+` does not take an int and a double"),
        ("kind - 'x' == ''", "`-` does not take a string and a string"),
        ("-kind == ''", "`-` does not take a string"),
        ("2.5 % 2.0 == 0.5", "`%` does not take a double and a double"),
        ("'x' in kind", "`in` does not take a string and a string"),
        ("kind[0] == 'g'", "`kind` is a string and has no fields"),
        ("kind.length == 5", "`kind` is a string and has no fields"),
        ("has(depth.x)", "`depth` is an int and has no fields"),
        ("'abc'.length == 3", "1:7: a string has no field `length`"),
        ("'abc'[0] == 'a'", "`[]` does not take a string and an int"),
        ("kind.all(c, true)", "only lists and maps have `c` in them, not a string"),
        ("{1.5: true}[data.x]", "a double cannot be a key"),
    ] {
        let found = problems(expression);
        assert_eq!(found.len(), 1, "{expression}: {found:?}");
        assert!(found[0].starts_with(problem), "{expression}: {found:?}");
    }
}

#[test]
fn problems_are_reported_together() {
    assert_eq!(
        problems("foo == 1 &&\n bar() &&\n kind"),
        [
            "1:1: there is no variable `foo`; did you mean `data.foo`?",
            "2:2: there is no function `bar`",
            "`kind` gives a string, not a bool",
        ]
    );
}

#[test]
fn parts_of_a_conjunction() {
    for (expression, parts) in [
        ("data.a && data.b", &["data.a", "data.b"][..]),
        (
            "data.a && (data.b && data.c) && [true && true][0]",
            &["data.a", "(data.b && data.c)", "[true && true][0]"],
        ),
        ("data.a && data.b || data.c", &["data.a && data.b || data.c"]),
        ("data.a ? data.b && data.c : data.d", &["data.a ? data.b && data.c : data.d"]),
        ("data.a == '&&' // && no\n && data.b", &["data.a == '&&' // && no", "data.b"]),
    ] {
        let expression = Expression::compile(expression).unwrap_or_else(|p| panic!("{p:?}"));
        let found: Vec<&str> = expression.clauses.iter().map(|c| c.text.as_str()).collect();
        assert_eq!(found, parts);
    }
}

#[test]
fn size_and_depth_have_limits() {
    let too_deep = ["the expression is nested deeper than 64 levels"];
    let nested = |(before, open, inner, close): (&str, &str, &str, &str), times: usize| {
        format!("{before}{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    for (nest, times_max) in [
        (("", "(", "true", ")"), 64),
        (("", "!", "true", ""), 64),
        (("data", ".x", " == 1", ""), 63),
        (("data", "[0]", " == 1", ""), 62),
        (("data.x", " + 1", " == 1", ""), 62),
        (("", "data.x ? true : ", "true", ""), 63),
        (("true || ", "[", "data.x", "] == []"), 15),
        (("", "data.l.all(x, x == 1 || ", "true", ")"), 21),
    ] {
        assert_eq!(problems(&nested(nest, times_max)), [""; 0], "{nest:?}");
        assert_eq!(problems(&nested(nest, times_max + 1)), too_deep, "{nest:?}");
    }
    // However long: these are balanced.
    assert_eq!(problems(&nested(("", "data.x == 1 || ", "true", ""), 1000)), [""; 0]);
    assert_eq!(problems(&nested(("", "data.x && ", "true", ""), 1600)), [""; 0]);
    assert_eq!(
        problems(&nested(("", "data.x || ", "true", ""), 1700)),
        ["the expression has more than 16384 bytes"]
    );
}

/// The parser in use is the younger one of the crate; the other is in the tests alone.
fn check_parsers_agree(text: &str) {
    let ours = PrattParser::new().parse(text).map(|syntax| shape(&syntax));
    let theirs = cel_syntax::Program::compile(text).map(|program| shape(program.expression()));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "{text}"),
        (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}"),
    }
}

/// A syntax tree without the numbers of its nodes.
fn shape(syntax: &IdedExpr) -> String {
    let text = format!("{syntax:?}");
    let mut parts = text.split("id: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shape, part| shape + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// Well-formed, of all that the grammar has.
pub(crate) fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "(data|data\\.x|kind|depth|l)",
        "[0-9]{1,3}(\\.[0-9])?",
        "'[a-z ä&|()?:]{0,4}'",
        Just("true".to_owned()),
        Just("null".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop_oneof!["&&|\\|\\|", "[+*/%<>-]", "==|!=|<=|>=", "in"];
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(a, o, b)| format!("{a} {o} {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.clone().prop_map(|a| signed('!', &a)),
            inner.clone().prop_map(|a| signed('-', &a)),
            inner.clone().prop_map(|a| format!("{a}.f")),
            inner.clone().prop_map(|a| format!("has(({a}).f)")),
            inner.clone().prop_map(|a| format!("size({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}.exists(l, {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}.contains({b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}].map(l, l)")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            (inner.clone(), inner.clone(), inner)
                .prop_map(|(a, b, c)| format!("{a} ? ({b}) : {c}")),
        ]
    })
}

/// The grammar does not mix signs, which one of the parsers lets pass.
fn signed(sign: char, operand: &str) -> String {
    match operand.starts_with(['!', '-']) {
        true => format!("{sign}({operand})"),
        false => format!("{sign}{operand}"),
    }
}

/// The depth of a syntax tree.
fn tree_depth(syntax: &mut IdedExpr) -> usize {
    1 + paths::children(&mut syntax.expr).into_iter().map(tree_depth).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,60}") {
        let _ = Expression::compile(&text);
    }

    #[test]
    fn nothing_of_its_own_signs_makes_it_panic(
        text in r#"([()\[\]{}.,?:!&|=<>+*/%'"\\`@#ä-]|data|kind|l|has|exists|map|r'|b"|'''|in|true|0x|[0-9e.u]|[ \n]|//){0,40}"#,
    ) {
        let _ = Expression::compile(&text);
    }

    #[test]
    fn both_parsers_read_the_same(text in expressions()) {
        check_parsers_agree(&text);
    }

    #[test]
fn the_parts_make_the_whole(parts in prop::collection::vec(expressions(), 2..5)) {
        let text = parts.join(" && ");
        let found = Source::new(&text).conjuncts();
        let joined: Vec<String> =
            found.iter().map(|part| format!("({})", &text[part.clone()])).collect();
        let whole = PrattParser::new().parse(&text).map(|syntax| shape(&syntax));
        let again = PrattParser::new().parse(&joined.join(" && ")).map(|syntax| shape(&syntax));
        prop_assert_eq!(whole.unwrap(), again.unwrap(), "{}", text);
    }

    #[test]
    fn the_tokens_tell_the_depth(text in expressions()) {
        let macros = text.matches(".exists(").count() + text.matches(".map(").count();
        let balanced = text.matches("&&").count() + text.matches("||").count();
        let mut syntax = PrattParser::new().parse(&text).unwrap();
        let depth = Source::new(&text).depth();
        prop_assert!(tree_depth(&mut syntax) <= depth + 1 + 3 * macros + balanced, "{depth}: {text}");
    }
}
