//! The tree that a test expects.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

pub(super) const KINDS: [&str; 5] = ["INTERNAL", "CLIENT", "SERVER", "PRODUCER", "CONSUMER"];
pub(super) const ERROR: &str = "ERROR";
pub(super) const OTHERS: &str = "...";

/// An expected span, or, without a name, the root of all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) name: String,
    pub(super) kind: Option<&'static str>,
    pub(super) fails: bool,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) links: Vec<String>,
    pub(super) events: Vec<String>,
    pub(super) children: Vec<Expected>,
    pub(super) others: bool,
}

impl Expected {
    /// Parses a text; the error says why it is no tree.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        // The spans that the current line may be below, from the outermost, with their indentations.
        let mut open: Vec<(usize, Self)> = vec![(0, Self::default())];
        for (number, line) in text.lines().enumerate() {
            let content = line.trim();
            if content.is_empty() {
                continue;
            }
            let indent = line.len() - line.trim_start().len() + 1;
            while open.len() > 1 && open.last().is_some_and(|(above, _)| *above >= indent) {
                close(&mut open);
            }
            let Some((_, above)) = open.last_mut() else { continue };
            if let Some(span) = above.line(content).map_err(|fault| format!("line {}: {fault}", number + 1))? {
                open.push((indent, span));
            }
        }
        while open.len() > 1 {
            close(&mut open);
        }
        Ok(open.pop().map(|(_, all)| all).unwrap_or_default())
    }

    /// Adds what a line says of this span, or returns the span that it begins.
    fn line(&mut self, content: &str) -> Result<Option<Self>, String> {
        let is_detail = content.starts_with(['.', '!']) || content.starts_with("~>");
        if content == OTHERS {
            self.others = true;
        } else if is_detail && self.name.is_empty() {
            return Err(format!("`{content}` belongs below a span; indent it more than the span's name"));
        } else if let Some(name) = content.strip_prefix("~>") {
            self.links.push(name.trim().to_owned());
        } else if let Some(name) = content.strip_prefix('!') {
            self.events.push(name.trim().to_owned());
        } else if let Some(attribute) = content.strip_prefix('.') {
            let (key, value) = attribute.split_once('=').ok_or(format!("`{content}` is written `. key = value`"))?;
            self.attributes.push((key.trim().to_owned(), value.trim().to_owned()));
        } else {
            return Ok(Some(Self::span(content)));
        }
        Ok(None)
    }

    /// A span's name may contain spaces, so the words about it are taken from the end. The rest may be a JSON string.
    fn span(content: &str) -> Self {
        let mut span = Self { name: content.to_owned(), ..Self::default() };
        while let Some((name, last)) = span.name.rsplit_once(' ') {
            let kind = KINDS.into_iter().find(|kind| *kind == last);
            if kind.is_none() && last != ERROR {
                break;
            }
            span.kind = kind.or(span.kind);
            span.fails |= last == ERROR;
            span.name.truncate(name.trim_end().len());
        }
        span.name = serde_json::from_str(&span.name).unwrap_or(span.name);
        span
    }

    /// The text again, in normal form.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        self.draw_children(0, &mut text);
        text
    }

    fn draw_children(&self, depth: usize, text: &mut String) {
        for child in &self.children {
            let kind = child.kind.map(|kind| format!(" {kind}")).unwrap_or_default();
            let error = if child.fails { " ERROR" } else { "" };
            let _ = writeln!(text, "{:indent$}{}{kind}{error}", "", shown(&child.name), indent = depth * 2);
            child.draw_details(depth + 1, text);
            child.draw_children(depth + 1, text);
        }
        if self.others {
            let _ = writeln!(text, "{:indent$}{OTHERS}", "", indent = depth * 2);
        }
    }

    fn draw_details(&self, depth: usize, text: &mut String) {
        let indent = depth * 2;
        for (key, value) in &self.attributes {
            let _ = writeln!(text, "{:indent$}. {key} = {value}", "");
        }
        for link in &self.links {
            let _ = writeln!(text, "{:indent$}~> {link}", "");
        }
        for event in &self.events {
            let _ = writeln!(text, "{:indent$}! {event}", "");
        }
    }
}

/// In quotes, as JSON, if a line with the name would be read as anything else.
fn shown(name: &str) -> Cow<'_, str> {
    let is_plain = Expected::parse(name).is_ok_and(|read| matches!(&*read.children, [span] if span.name == name));
    if is_plain { name.into() } else { Value::from(name).to_string().into() }
}

/// The innermost span is complete.
fn close(open: &mut Vec<(usize, Expected)>) {
    if let Some((_, span)) = open.pop()
        && let Some((_, above)) = open.last_mut()
    {
        above.children.push(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_whatever_its_indentation() {
        let text = "
            send orders:placed PRODUCER ERROR
                . a = b = c
                .d=
                ~> other
                ! happened
                child
                  grandchild CLIENT
                ...
            second
            ";
        let expected = "send orders:placed PRODUCER ERROR
  . a = b = c
  . d =
  ~> other
  ! happened
  child
    grandchild CLIENT
  ...
second
";
        let parsed = Expected::parse(text).unwrap();
        assert_eq!(parsed.render().replace("= \n", "=\n"), expected);
        assert_eq!(Expected::parse(expected).unwrap(), parsed);
    }

    #[test]
    fn a_name_is_read_as_it_is_shown() {
        let last = ["charge ERROR", "CLIENT ERROR", "a \"b\" ERROR"];
        let first = [".hidden", "! x", "~>", "...", "\"", "\"quoted\""];
        let blank = ["", " a ", "a\nb", "a\n  . b = c", "a\r"];
        for name in last.into_iter().chain(first).chain(blank) {
            for (fails, kind) in [(false, None), (true, Some("CLIENT"))] {
                let span = Expected { name: name.to_owned(), fails, kind, ..Expected::default() };
                let all = Expected { children: vec![span], ..Expected::default() };
                assert_eq!(Expected::parse(&all.render()).unwrap(), all, "{name:?}");
            }
        }
        for plain in ["ERROR", "command.Deposit", "a  b", "\"a\" b", "Ω~>"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn what_is_no_tree_is_told() {
        let fault = Expected::parse("\n. key = value").unwrap_err();
        assert_eq!(fault, "line 2: `. key = value` belongs below a span; indent it more than the span's name");
        assert_eq!(Expected::parse("span\n  . key").unwrap_err(), "line 2: `. key` is written `. key = value`");
    }
}
