//! What differs between two texts, line by line.

/// The lines of both, in order: `-` before those that only the expected text has, `+` before those that only the actual
/// one has.
pub(super) fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let common = common(&expected, &actual);
    let (mut left, mut right) = (0, 0);
    let mut text = String::new();
    let mut line = |mark: char, line: &str| text.extend(["  ", &mark.to_string(), " ", line, "\n"]);
    while left < expected.len() || right < actual.len() {
        match (expected.get(left), actual.get(right)) {
            (Some(wanted), Some(found)) if wanted == found => {
                line(' ', wanted);
                (left, right) = (left + 1, right + 1);
            }
            (Some(wanted), found) if found.is_none() || common[left + 1][right] >= common[left][right + 1] => {
                line('-', wanted);
                left += 1;
            }
            (_, Some(found)) => {
                line('+', found);
                right += 1;
            }
            (_, None) => break,
        }
    }
    text
}

/// From each pair of places on, how many entries two lists have in common, in order.
pub(super) fn common<T: PartialEq>(left: &[T], right: &[T]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (l, one) in left.iter().enumerate().rev() {
        for (r, other) in right.iter().enumerate().rev() {
            common[l][r] = if one == other { common[l + 1][r + 1] + 1 } else { common[l + 1][r].max(common[l][r + 1]) };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_is_missing_and_what_is_too_much_where_it_stands() {
        assert_eq!(difference("a\nb\nc", "a\nx\nc\nd"), "    a\n  - b\n  + x\n    c\n  + d\n");
        assert_eq!(difference("a\nb", "b"), "  - a\n    b\n");
        assert_eq!(difference("", "a"), "  + a\n");
        assert_eq!(difference("a", ""), "  - a\n");
        assert_eq!(difference("a", "a"), "    a\n");
    }
}
