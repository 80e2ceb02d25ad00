//! What the check knows of the standard library: each word stands in an expression that the compiler takes, and in
//! which the check finds the field.

#![allow(clippy::all, clippy::pedantic, reason = "the expressions are for the check")]

use std::borrow::Cow;
use std::cell::{LazyCell, OnceCell, RefCell};
use std::collections::{BTreeMap, HashMap, LinkedList, VecDeque};
use std::mem::ManuallyDrop;
use std::ops::Deref as _;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, RwLock};

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::parse_quote;

use super::found::{OF_ITERATORS, SAME};
use super::scope::tests::checked;
use super::types::{OF_TWO, POINTERS};
use super::within::{FOLDING, TAKING};
use crate::tokens::is_word;

/// A type with a sensitive field.
#[derive(Clone, Copy)]
struct A {
    x: u8,
}

/// The runtime's types.
type Recorded<T> = Box<T>;
type Rejected<T> = Box<T>;

/// The expressions of one argument, with its type.
macro_rules! expressions {
    ($argument:ident, $($ty:ty: $($expr:expr),+;)*) => {{
        $($(let _ = |#[allow(unused_mut)] mut $argument: $ty| { let _ = $expr; };)+)*
        [$($((quote!($ty), quote!($expr))),+),*]
    }};
}

/// Asserts that each word has an expression, and that in each of them the field is found.
#[track_caller]
fn found_by<const N: usize>(words: &[&str], expressions: [(TokenStream, TokenStream); N]) {
    for word in words {
        let has_one = expressions.iter().any(|(ty, expr)| names(ty, word) || names(expr, word));
        assert!(has_one, "`{word}` is in no expression");
    }
    for (ty, expr) in expressions {
        let found = checked(&parse_quote!(fn f(a: #ty)), &quote!("1" = #expr));
        assert_eq!(found, ["A.x"], "{expr} of {ty}");
    }
}

fn names(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|tree| match tree {
        TokenTree::Group(group) => names(&group.stream(), word),
        tree => is_word(&tree, word),
    })
}

#[test]
fn methods_that_return_the_same_value_are_known() {
    let expressions = expressions! { a,
        A: a.clone().x, a.to_owned().x;
        Box<A>: a.as_ref().x, a.deref().x;
        Option<A>: a.as_mut().unwrap().x, a.expect("one").x, a.unwrap_or(A { x: 1 }).x;
        Option<&A>: a.cloned().unwrap().x, a.copied().unwrap().x;
        Option<Box<A>>: a.as_deref().unwrap().x;
        Result<A, u8>: a.ok().unwrap().x;
        RefCell<A>: a.borrow().x;
        Mutex<A>: a.lock().unwrap().x;
        RwLock<A>: a.read().unwrap().x;
        HashMap<u8, A>: a.values().next().unwrap().x;
        Vec<A>:
            a.as_slice()[0].x,
            a.first().unwrap().x,
            a.get(1).unwrap().x,
            a.into_iter().next().unwrap().x,
            a.iter().enumerate().map(|(_, it)| it.x).max(),
            a.iter().filter(|_| true).map(|it| it.x).max(),
            a.iter().find(|_| true).unwrap().x,
            a.iter().inspect(|_| ()).next().unwrap().x,
            a.iter().max_by_key(|_| 1).unwrap().x,
            a.iter().min_by_key(|_| 1).unwrap().x,
            a.iter().nth(1).unwrap().x,
            a.iter().rev().next().unwrap().x,
            a.iter().skip(1).next().unwrap().x,
            a.iter().skip_while(|_| true).next().unwrap().x,
            a.iter().take(1).next().unwrap().x,
            a.iter().take_while(|_| true).next().unwrap().x,
            a.iter_mut().next().unwrap().x,
            a.last().unwrap().x;
    };
    found_by(&[&SAME[..], &OF_ITERATORS].concat(), expressions);
    let of_its_own = quote!("1" = a.find(1).x, "2" = a.take(1).x);
    assert!(checked(&parse_quote!(fn f(a: &A)), &of_its_own).is_empty());
}

#[test]
fn methods_that_give_a_closure_what_they_are_called_on_are_known() {
    let expressions = expressions! { a,
        &[A]:
            a.iter().all(|it| it.x == 1),
            a.iter().any(|it| it.x == 1),
            a.iter().filter(|it| it.x == 1).count(),
            a.iter().filter_map(|it| it.x.checked_add(1)).max(),
            a.iter().find(|it| it.x == 1).is_some(),
            a.iter().find_map(|it| it.x.checked_add(1)),
            a.iter().flat_map(|it| Some(it.x)).max(),
            a.iter().for_each(|it| assert_eq!(it.x, 1)),
            a.iter().inspect(|it| assert_eq!(it.x, 1)).count(),
            a.iter().is_sorted_by_key(|it| it.x),
            a.iter().map(|it| it.x).max(),
            a.iter().map_while(|it| it.x.checked_add(1)).max(),
            a.iter().max_by(|it, _| it.x.cmp(&1)).is_some(),
            a.iter().max_by_key(|it| it.x).is_some(),
            a.iter().min_by(|_, it| it.x.cmp(&1)).is_some(),
            a.iter().min_by_key(|it| it.x).is_some(),
            { let (few, _): (Vec<&A>, Vec<&A>) = a.iter().partition(|it| it.x == 1); few.len() },
            a.iter().position(|it| it.x == 1),
            a.iter().reduce(|all, it| if it.x == 1 { it } else { all }).is_some(),
            a.iter().rfind(|it| it.x == 1).is_some(),
            a.iter().rposition(|it| it.x == 1),
            a.iter().skip_while(|it| it.x == 1).count(),
            a.iter().take_while(|it| it.x == 1).count(),
            a.iter().try_for_each(|it| it.x.checked_add(1).map(drop)).is_some();
        Option<A>:
            a.and_then(|it| it.x.checked_add(1)),
            a.is_none_or(|it| it.x == 1),
            a.is_some_and(|it| it.x == 1),
            a.map_or(1, |it| it.x),
            a.map_or_else(|| 1, |it| it.x),
            a.take_if(|it| it.x == 1).is_some();
        Result<A, u8>: a.is_ok_and(|it| it.x == 1);
    };
    found_by(&TAKING, expressions);
}

#[test]
fn methods_that_fold_are_known_by_what_is_folded() {
    let expressions = expressions! { a,
        &[A]:
            a.iter().fold(1, |all, it| all + it.x),
            a.iter().rfold(1, |all, it| all + it.x),
            a.iter().scan(1, |all, it| Some(*all + it.x)).max(),
            a.iter().try_fold(1_u8, |all, it| all.checked_add(it.x)),
            a.iter().try_rfold(1_u8, |all, it| all.checked_add(it.x));
    };
    found_by(&FOLDING, expressions);
    let of_its_own = quote!("1" = a.iter().fold((1, 2), |all, _| (all.0, all.x)));
    assert!(checked(&parse_quote!(fn f(a: &[A])), &of_its_own).is_empty());
}

#[test]
fn types_that_show_what_they_hold_are_known() {
    let expressions = expressions! { a,
        Recorded<A>: a.x;
        Rejected<A>: a.x;
        Arc<A>: a.x;
        Rc<A>: a.x;
        Box<A>: a.x;
        Pin<Box<A>>: a.x;
        Cow<'static, A>: a.x;
        LazyCell<A>: a.x;
        LazyLock<A>: a.x;
        ManuallyDrop<A>: a.x;
        Option<A>: a.unwrap().x;
        OnceCell<A>: a.get().unwrap().x;
        OnceLock<A>: a.get().unwrap().x;
        RefCell<A>: a.borrow().x;
        Mutex<A>: a.lock().unwrap().x;
        RwLock<A>: a.read().unwrap().x;
        Vec<A>: a[0].x;
        VecDeque<A>: a[0].x;
        LinkedList<A>: a.iter().next().unwrap().x;
        Result<A, u8>: a.unwrap().x;
        HashMap<u8, A>: a.values().next().unwrap().x;
        BTreeMap<u8, A>: a.values().next().unwrap().x;
    };
    let words: Vec<&str> = POINTERS.into_iter().chain(OF_TWO).collect();
    found_by(&words, expressions);
}
