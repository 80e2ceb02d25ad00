//! An expansion keeps each of the user's tokens at its place, for editors, panics and errors.

use std::collections::HashSet;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::seeds::{SEEDS, tokens};

/// A token's text and place.
type Place = (String, String);

#[test]
fn each_token_of_an_item_stays_at_its_place() {
    // A derive adds to its item, which the compiler keeps.
    for (expand, options, item) in SEEDS.into_iter().filter(|(_, _, item)| !item.starts_with('#')) {
        let item = tokens(item);
        let kept = places(&expand(tokens(options), item.clone()));
        // An attribute within a body has moved in front of its function.
        let lost = places(&without_attributes_of_ours(item.clone())).into_iter().filter(|place| !kept.contains(place));
        let lost: Vec<Place> = lost.filter(|(text, _)| text != "!").collect();
        assert!(lost.is_empty(), "{item}\nloses {lost:?}");
    }
}

#[test]
fn each_name_in_an_option_stays_at_its_place() {
    let names =
        ["x y z q", "q on a", "E f g T", "Map K V E A b B C Debug", "A c", "T Q", "x y a", "Q R T", "e E Tx", "e E"];
    for ((expand, options, item), names) in SEEDS.into_iter().zip(names) {
        let (options, item) = (tokens(options), tokens(item));
        let kept = places(&expand(options.clone(), item.clone()));
        for name in names.split(' ') {
            let places: Vec<Place> =
                places(&options).union(&places(&item)).filter(|(text, _)| text == name).cloned().collect();
            assert!(places.iter().any(|place| kept.contains(place)), "`{name}` of {options} {item}");
        }
    }
}

fn places(stream: &TokenStream) -> HashSet<Place> {
    let mut places = HashSet::new();
    for tree in stream.clone() {
        let TokenTree::Group(group) = &tree else {
            places.insert((tree.to_string(), format!("{:?}", tree.span())));
            continue;
        };
        for delimiter in [group.span_open(), group.span_close()] {
            places.insert((format!("{:?}", group.delimiter()), format!("{delimiter:?}")));
        }
        places.extend(self::places(&group.stream()));
    }
    places
}

/// An item without what the macros read and remove.
fn without_attributes_of_ours(stream: TokenStream) -> TokenStream {
    let mut kept: Vec<TokenTree> = Vec::new();
    for tree in stream {
        match tree {
            TokenTree::Group(group) if is_attribute_of_ours(&group) => drop(kept.pop()),
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), without_attributes_of_ours(group.stream()));
                inner.set_span(group.span());
                kept.push(inner.into());
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

fn is_attribute_of_ours(group: &Group) -> bool {
    let first = group.stream().into_iter().next().map(|tree| tree.to_string()).unwrap_or_default();
    group.delimiter() == Delimiter::Bracket && ["traced", "projection", "process_manager"].contains(&first.as_str())
}
