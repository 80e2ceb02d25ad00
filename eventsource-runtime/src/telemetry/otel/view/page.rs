//! The page around the data. The policy names the script and the style by their hashes, so that nothing else runs.

const PAGE: &str = include_str!("page/page.html");
pub(super) const STYLE: &str = include_str!("page/style.css");
pub(super) const SCRIPT: &str = concat!(
    include_str!("page/model.js"),
    include_str!("page/scale.js"),
    include_str!("page/parts.js"),
    include_str!("page/waterfall.js"),
    include_str!("page/details.js"),
    include_str!("page/main.js"),
);

/// The SHA-256 of each in base64; a test reports the new one when a file changes.
pub(super) const SCRIPT_HASH: &str = "BEukpCb9YJEvjMvqMCECzCJ2Eini7+t61X8DmY72UG4=";
pub(super) const STYLE_HASH: &str = "DjRNF211vMOL79c1+QZwX/QhHL5mrQHb7wVrL0EhBpY=";

/// The page that shows `data`, which must be JSON from `data::json`.
pub(super) fn of(title: &str, data: &str) -> String {
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{SCRIPT_HASH}'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; \
         form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    let title = escaped(title);
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len() + 2 * title.len());
    let mut rest = PAGE;
    // One pass, so that a title which holds `{data}` stays what it is.
    while let Some((before, (part, after))) = rest.split_once('{').and_then(|(b, r)| Some((b, r.split_once('}')?))) {
        page.push_str(before);
        page.push_str(match part {
            "policy" => &policy,
            "title" => &title,
            "style" => STYLE,
            "data" => data,
            "script" => SCRIPT,
            other => unreachable!("the page has no part `{other}`"),
        });
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Text as it stands between tags.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            inert if crate::telemetry::otel::tree::is_inert(inert) => escaped.push(inert),
            other => escaped.extend(other.escape_unicode()),
        }
    }
    escaped
}
