//! Expressions in, verdicts out, on an event that lives here instead of in a host.

use std::sync::Mutex;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::expression::tests::expressions;

struct Event {
    whole: Value,
    asked: Mutex<Vec<String>>,
}

impl Envelope for Event {
    fn get(&self, path: &str) -> Option<String> {
        self.asked.lock().unwrap().push(path.to_owned());
        let found = path.split('.').try_fold(&self.whole, |value, segment| match value {
            Value::Object(object) => object.get(segment),
            Value::Array(array) => array.get(segment.parse::<usize>().ok()?),
            _ => None,
        });
        found.map(Value::to_string)
    }
}

fn event() -> Event {
    let whole = json!({
        "id": "evt_1", "kind": "github.issues", "scope": "workspace", "workspace_id": "acme",
        "source": "webhook", "depth": 2, "causes": ["run_1"], "traceparent": null,
        "endpoint": {"slug": "github"}, "producer": "github", "origin": {"component": "github"},
        "verified": {"scheme": "github", "key_ref": "env:SECRET"},
        "occurred_at": "2026-03-29T01:30:00Z", "received_at": "2026-03-29T01:30:05.250Z",
        "data": {
            "action": "opened",
            "issue": {
                "number": 42, "title": "Login fails", "draft": null, "locked": false,
                "labels": [{"name": "bug", "weight": 3}, {"name": "urgent"}, {"id": 7}],
                "user": {"login": "octocat", "site_admin": true},
                "created_at": "2026-03-28T10:00:00+02:00",
            },
            "count": 3, "ratio": 2.5, "whole": 3.0, "huge": 18_446_744_073_709_551_615_u64,
            "low": -7, "far": 1e300, "with-dash": {"a.b": "v", "n": 1},
            "text": "3", "yes": true, "none": [], "void": {}, "empty": "",
            "tags": ["a", "b", "ä"], "numbers": [1, 2.5, 3], "mixed": [1, "x", null],
            "names": {"x": "Ex", "dotted.key": "dots", "0": "zero"}, "key": "x",
            "data": {"data": "deep"},
        },
    });
    Event { whole, asked: Mutex::new(Vec::new()) }
}

fn compiled(expression: &str) -> Expression {
    Expression::compile(expression).unwrap_or_else(|problems| panic!("{expression}: {problems:?}"))
}

/// Nothing for a match, why not, or why it fails.
fn decided(expression: &str) -> Result<Option<String>, String> {
    match decide(&compiled(expression), &event()) {
        Ok(Verdict::Matched) => Ok(None),
        Ok(Verdict::Unmatched(reason)) => Ok(Some(reason)),
        Err(FilterError::Failed(reason) | FilterError::InvalidConfig(reason)) => Err(reason),
    }
}

#[test]
fn what_matches() {
    for expression in [
        // The envelope.
        "true",
        "kind == 'github.issues'",
        "kind.startsWith('github.') && source == \"webhook\"",
        "scope == 'workspace' && workspace_id == 'acme'",
        "depth < 3 && depth >= 2 && size(causes) == 1 && causes[0] == 'run_1'",
        "origin.component == 'github' && endpoint.slug == 'github' && producer == 'github'",
        "verified != null && verified.scheme == 'github'",
        "traceparent == null",
        // Fields and items.
        "data.action == 'opened'",
        "data['action'] == 'opened'",
        "data.issue.labels[0].name == 'bug'",
        "data.names[data.key] == 'Ex'",
        "data.names['dotted.key'] == 'dots' && data.names['0'] == 'zero'",
        "data.data.data == 'deep'",
        "data.`with-dash`.n == 1 && data.`with-dash`.`a.b` == 'v' && has(data.`with-dash`)",
        "data.`with-dash`['a.b'] == 'v' && has(data.`with-dash`.`a.b`) && !has(data.`no-dash`)",
        "data.issue.user.site_admin",
        "!data.issue.locked",
        "!data.issue.locked && !(data.action == 'closed')",
        "data.issue.draft == null",
        // Numbers, whatever JSON wrote.
        "data.count == 3 && data.count == 3.0 && data.count == 3u",
        "data.whole == 3 && data.whole == data.count",
        "data.count > 2.5 && data.ratio < 3 && data.ratio == 2.5",
        "data.huge > 5 && data.huge > 5.5 && data.far > data.huge && data.low < 0u",
        "data.count + 1 == 4 && data.count % 2 == 1 && -data.low == 7 && data.count * 2 - 1 == 5",
        "data.ratio * 2.0 == 5.0 && double(data.count) / 2.0 == 1.5",
        "data.count != data.text && int(data.text) == data.count && string(data.count) == '3'",
        "data.numbers[1] > 2 && data.numbers.exists(n, n == 3)",
        // Operators.
        "data.action == 'closed' || data.action == 'opened'",
        "data.action == 'closed' || data.count > 1 && data.yes",
        "data.yes ? data.action == 'opened' : false",
        "data.action in ['opened', 'reopened']",
        "'b' in data.tags && !('z' in data.tags) && 'x' in data.names",
        "data.issue.title + '!' == 'Login fails!'",
        "data.tags + ['c'] == ['a', 'b', 'ä', 'c']",
        "{'a': data.count}.a == 3 && {'opened': 1, 'closed': 2}[data.action] == 1",
        "data.issue.user == {'site_admin': true, 'login': 'octocat'}",
        // Macros.
        "has(data.issue) && has(data.issue.number) && !has(data.issue.milestone)",
        "has(data.issue.draft)",
        "data.issue.labels.exists(l, l.name == 'bug')",
        "data.issue.labels.exists(l, has(l.id) && l.id == 7)",
        "data.issue.labels.all(l, !has(l.name) || l.name != 'wontfix')",
        "data.issue.labels.exists_one(l, has(l.weight))",
        "data.issue.labels.filter(l, has(l.name)).map(l, l.name) == ['bug', 'urgent']",
        "data.tags.map(t, t != 'b', t + data.action) == ['aopened', 'äopened']",
        "data.none.all(x, false) && !data.none.exists(x, true)",
        "data.names.exists(k, data.names[k] == 'zero')",
        "[[1, 2], [3]].exists(row, row.exists(n, n == data.count))",
        // Functions.
        "size(data.tags) == 3 && data.tags.size() == 3 && size(data.tags[2]) == 1",
        "size(data.void) == 0 && size('') == size(data.empty)",
        "data.issue.title.contains('fail') && data.issue.title.endsWith('fails')",
        "data.issue.title.matches('^[Ll]ogin\\\\s') && matches(data.action, 'open|close')",
        "data.issue.title.matches(r'(?i)LOGIN')",
        "type(data.count) == int && type(data.text) == string && type(data.ratio) == double",
        "type(data.tags) == list && type(data.names) == map && type(data.yes) == bool",
        "bool('true') && string(1.5) == '1.5' && uint(7) == 7u && bytes('a') == b'a'",
        "dyn(data.count) == 3 && dyn(1) != dyn('1')",
        // Times.
        "timestamp(received_at) > timestamp('2026-03-29T01:30:05Z')",
        "timestamp(received_at) - timestamp(occurred_at) == duration('5.25s')",
        "timestamp(occurred_at) + duration('1h30m') == timestamp('2026-03-29T03:00:00Z')",
        "timestamp(data.issue.created_at) == timestamp('2026-03-28T08:00:00Z')",
        "timestamp(occurred_at).getHours() == 1 && timestamp(occurred_at).getHours('+02:00') == 3",
        "timestamp(received_at).getMilliseconds() == 250 && timestamp(received_at).getSeconds() == 5",
        "timestamp(received_at).getMilliseconds('+02:00') == 250",
        "duration('1.5s').getMilliseconds() == 1500 && timestamp(received_at).getMinutes() == 30",
        "timestamp(received_at).getFullYear() == 2026 && timestamp(received_at).getDate() == 29",
        "timestamp(received_at).getDayOfMonth() == 28 && timestamp(received_at).getDayOfYear() == 87",
        "timestamp(occurred_at).getDayOfWeek() == 0 && timestamp(occurred_at).getMonth('UTC') == 2",
        "duration('90m').getMinutes() == 90 && int(timestamp(occurred_at)) == 1774747800",
        // What has no answer, beside what decides.
        "data.nowhere == 1 || data.yes",
        "data.yes || data.text > 5",
        "!(data.nowhere == 1 && data.issue.locked)",
        // Comments and lines.
        "data.yes // so be it\n  && // and\n  kind != ''",
    ] {
        assert_eq!(decided(expression), Ok(None), "{expression}");
    }
}

/// Integers that JSON can write and no int can hold, with others beside them.
fn numbers() -> Event {
    let whole = r#"{"kind": "x", "data": {
        "a": 18446744073709551616, "b": 18446744073709551617, "c": -9223372036854775809,
        "same": 18446744073709551616, "long": 123456789012345678901234567890,
        "max": 18446744073709551615, "min": -9223372036854775808, "odd": 9007199254740993,
        "one": 1, "zero": -0, "whole": 1.0, "ratio": 0.5, "double": 18446744073709551616.0,
        "inf": 1e400, "list": [1, 18446744073709551616], "text": "18446744073709551616"
    }}"#;
    Event { whole: serde_json::from_str(whole).unwrap(), asked: Mutex::new(Vec::new()) }
}

#[test]
fn integers_of_any_length() {
    for expression in [
        "data.a == data.same && data.a != data.b && !(data.a == data.b) && !(data.a != data.same)",
        "data.a < data.b && data.b > data.a && data.a <= data.same && data.a >= data.same",
        "data.c < data.min && data.min > data.c && data.c < data.a && data.a > data.c",
        "data.max < data.a && data.a > data.max && data.max != data.a && data.a != data.max",
        "data.long > data.a && data.a < data.long && data.long != data.a",
        "1 < data.a && data.a > 1 && 1u < data.a && data.c < 1u && 1.5 < data.a && data.c < -1.5",
        "data.double == data.a && data.a == data.double && data.double != data.b",
        "data.b != data.double && data.double < data.b && data.a < 1e300 && 1e300 > data.a",
        "data.a < data.inf && data.inf > data.a && data.inf > 1e308",
        "data.odd == 9007199254740993 && data.odd != 9007199254740992",
        "data.zero == 0 && data.whole == data.one && data.ratio < data.one",
        "data.a in data.list && !(data.b in data.list) && data.list.exists(n, n == data.a)",
        "[data.a] == [data.same] && [data.a] != [data.b] && {'n': data.a} != {'n': data.b}",
        "string(data.b) == '18446744073709551617' && string(data.c) == '-9223372036854775809'",
        "string(data.long) == '123456789012345678901234567890' && string(data.a) == data.text",
        "data.a != data.text && data.text != data.a && string(data.max) == '18446744073709551615'",
        "double(data.a) == 18446744073709551616.0 && type(data.a) == type(data.b)",
        "type(data.a) != int && type(data.a) != double && dyn(data.a) == data.same",
    ] {
        match decide(&compiled(expression), &numbers()) {
            Ok(Verdict::Matched) => {}
            Ok(Verdict::Unmatched(reason)) => panic!("{expression}: {reason}"),
            Err(error) => panic!("{expression}: {error:?}"),
        }
    }
}

#[test]
fn what_integers_of_any_length_cannot_do_is_said() {
    for (expression, reason) in [
        ("data.a + 1 > 0", "18446744073709551616 has more than 64 bits"),
        ("-data.c > 0", "-9223372036854775809 has more than 64 bits"),
        ("int(data.a) == 1", "18446744073709551616 has more than 64 bits"),
        ("data.a < data.text", "integer"),
        ("data.text < data.a", "integer"),
        ("data.a ? true : false", "integer"),
    ] {
        match decide(&compiled(expression), &numbers()) {
            Err(FilterError::Failed(told)) => {
                assert!(told.contains(reason), "{expression}: {told}")
            }
            _ => panic!("{expression} has an answer"),
        }
    }
}

#[test]
fn what_does_not_match_says_why() {
    for (expression, reason) in [
        ("false", "`false` is false"),
        ("data.action == 'closed'", "`data.action == 'closed'` is false"),
        ("data.yes && data.count == 4 && data.issue.locked", "`data.count == 4` is false"),
        ("(data.yes && data.count == 4)", "`(data.yes && data.count == 4)` is false"),
        (
            "data.yes && (data.count == 4 || data.issue.locked)",
            "`(data.count == 4 || data.issue.locked)` is false",
        ),
        ("data.yes\n  && !data.yes", "`!data.yes` is false"),
        ("data.count ==\n  4", "`data.count == 4` is false"),
        ("data.text == 3", "`data.text == 3` is false"),
        ("data.count == 3.5", "`data.count == 3.5` is false"),
        // The first that is false outweighs what is missing or fails before it.
        ("data.nowhere == 1 && data.yes && data.count == 4", "`data.count == 4` is false"),
        ("data.text > 5 && data.count == 4", "`data.count == 4` is false"),
        ("has(data.nowhere) && data.nowhere.x > 3", "`has(data.nowhere)` is false"),
        // Missing.
        ("data.issue.milestone == 'x'", "`data.issue.milestone` is not there"),
        ("data.issue.milestone != 'x'", "`data.issue.milestone` is not there"),
        ("!data.issue.milestone", "`data.issue.milestone` is not there"),
        ("data.nowhere.x.y == 1", "`data.nowhere.x.y` is not there"),
        ("data.action.x == 1", "`data.action.x` is not there"),
        ("data.issue.draft.x == 1", "`data.issue.draft.x` is not there"),
        ("data.tags[3] == 'd'", "`data.tags.3` is not there"),
        ("has(data.nowhere.x)", "`data.nowhere` is not there"),
        ("!has(data.issue.draft.x)", "`data.issue.draft` is not there"),
        ("!has(data.tags.x)", "`data.tags` is not there"),
        ("data.nowhere in ['a']", "`data.nowhere` is not there"),
        ("data.text > 5 && data.nowhere == 1", "`data.nowhere` is not there"),
        (
            "data.issue.labels.all(l, l.name != 'x')",
            "`name` is not there, in `data.issue.labels.all(l, l.name != 'x')`",
        ),
        (
            "data.names[data.action] == 'x'",
            "`opened` is not there, in `data.names[data.action] == 'x'`",
        ),
        ("data.tags[data.count] == 'd'", "an item is not there, in `data.tags[data.count] == 'd'`"),
        (
            "data.tags.exists(t, t.name == 'a')",
            "a field is not there, of a string, in `data.tags.exists(t, t.name == 'a')`",
        ),
    ] {
        assert_eq!(decided(expression), Ok(Some(reason.to_owned())), "{expression}");
    }
}

#[test]
fn what_cannot_be_decided_fails() {
    for (expression, reason) in [
        ("data.action", "`data.action` gives a string, not a bool"),
        ("data.yes && data.count", "`data.count` gives an int, not a bool"),
        ("data.issue", "`data.issue` gives a map, not a bool"),
        ("data.issue.draft", "`data.issue.draft` gives null, not a bool"),
        (
            "data.yes ? data.tags : data.yes",
            "`data.yes ? data.tags : data.yes` gives a list, not a bool",
        ),
        (
            "data.text > 5",
            "`data.text > 5`: found no matching overload for '_>_' applied to '(string, int)'",
        ),
        (
            "data.count.startsWith('x')",
            "`data.count.startsWith('x')`: found no matching overload for 'startsWith' applied to \
             'int.(string)'",
        ),
        ("!data.count", "`!data.count`: "),
        ("timestamp(data.action) > timestamp(occurred_at)", "`timestamp(data.action) > timestamp("),
        (
            "data.count / (data.count - 3) == 1",
            "`data.count / (data.count - 3) == 1`: Division by zero",
        ),
        ("data.huge + data.huge > 1u", "`data.huge + data.huge > 1u`: Overflow"),
    ] {
        let given = decided(expression).unwrap_err();
        assert!(given.starts_with(reason), "{expression}: {given}");
    }
}

#[test]
fn only_what_is_reached_is_asked_for_and_once() {
    for (expression, asked) in [
        ("data.action == 'closed' && data.issue.number == 42", &["data.action"][..]),
        (
            "data.issue.number == 42 && data.issue.number > 1 && data.action == 'opened'",
            &["data.issue.number", "data.action"],
        ),
        ("data.yes || data.issue.locked", &["data.yes"]),
        ("data.tags.all(t, t != data.action)", &["data.tags", "data.action"]),
        ("has(data.issue.number)", &["data.issue.number"]),
        ("has(data.issue.milestone)", &["data.issue.milestone", "data.issue"]),
        ("true", &[]),
    ] {
        let event = event();
        decide(&compiled(expression), &event).unwrap();
        assert_eq!(*event.asked.lock().unwrap(), asked, "{expression}");
    }
}

#[test]
fn long_expressions_are_cut_in_reasons() {
    let long = format!("data.action == '{}'", "ä".repeat(300));
    let reason = format!("`{}…` is false", &long.chars().take(200).collect::<String>());
    assert_eq!(decided(&long), Ok(Some(reason)));
}

#[test]
fn extremes_are_answered_or_fail() {
    for expression in [
        "data.least / -1 > 0",
        "data.least % -1 == 0",
        "-data.least > 0",
        "data.least - 1 < 0",
        "data.least * data.least > 0",
        "data.count / 0 == 1",
        "data.count % 0 == 1",
        "data.ratio / 0.0 > 1.0",
        "data.tags[data.low] == 'a'",
        "data.tags[data.huge] == 'a'",
        "data.tags[data.ratio] == 'a'",
        "int(data.far) > 0",
        "uint(data.low) > 0u",
        "timestamp(data.least) < timestamp(0)",
        "timestamp('9999-12-31T23:59:59Z') + duration('2540400h') > timestamp(0)",
        "timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z') > duration('1s')",
        "duration(data.far + 's') > duration('1s')",
        "duration('2540400h') + duration('2540400h') > duration('1s')",
        "timestamp(occurred_at).getHours(data.key) == 1",
        "size(string(bytes(data.issue.title))) == 11",
    ] {
        let mut event = event();
        event.whole["data"]["least"] = i64::MIN.into();
        // Whatever it says, it says something.
        let _ = decide(&compiled(expression), &event);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nothing_that_is_accepted_makes_it_panic(
        parts in prop::collection::vec(expressions(), 1..4),
        operator in "==|!=|&&|\\|\\||in",
    ) {
        if let Ok(expression) = Expression::compile(&parts.join(&format!(" {operator} "))) {
            let _ = decide(&expression, &event());
        }
    }
}
