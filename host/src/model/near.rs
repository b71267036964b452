//! What somebody may have meant.

/// How many letters may differ.
const DISTANCE_MAX: usize = 2;

/// The known word that is nearest to what was written, if one is near.
pub fn nearest<'k>(known: impl IntoIterator<Item = &'k str>, written: &str) -> Option<&'k str> {
    let near = known.into_iter().map(|known| (distance(known, written), known));
    // A word of which all letters differ is another.
    let near = near.filter(|(distance, known)| {
        *distance <= DISTANCE_MAX && *distance < known.len().max(written.len()).div_ceil(2)
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

/// `; did you mean …?`, when a known word is near.
pub fn guess<'k>(known: impl IntoIterator<Item = &'k str>, written: &str) -> String {
    nearest(known, written).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// How many letters have to be put in, left out or replaced (Levenshtein).
fn distance(known: &str, written: &str) -> usize {
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (i, a) in known.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in written.bytes().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[written.len()]
}

/// What to say to somebody who wrote a name that is none of `known`; those are called `what`.
pub fn unknown(what: &str, known: &[&str], written: &str) -> String {
    match nearest(known.iter().copied(), written) {
        Some(near) => format!("is unknown; did you mean `{near}`?"),
        None if known.is_empty() => format!("is unknown; there are no {what} here"),
        None => format!("is unknown; {what} here are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["url", "github", "generic", "cel", "match"];
        for (written, wanted) in [
            ("uri", Some("url")),
            ("gihtub", Some("github")),
            ("Github", Some("github")),
            ("cell", Some("cel")),
            ("rss", None),
            ("", None),
        ] {
            assert_eq!(nearest(known, written), wanted, "{written}");
        }
        assert_eq!(guess(known, "uri"), "; did you mean `url`?");
        assert_eq!(guess(known, "nothing"), "");
    }
}
