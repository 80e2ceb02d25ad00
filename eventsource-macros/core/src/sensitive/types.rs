//! The types whose fields a value shows, as far as its type says.

use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{ExprInfer, GenericArgument, Ident, Lifetime, PathArguments, PathSegment, Type, TypeInfer, TypeReference};

use crate::signature::ungrouped;

/// The types whose fields a value of this type shows, without references, pointers and lists; both of a `Result` or a
/// map; none if the type has no name.
pub(super) fn pointed_at(ty: &Type) -> Vec<Type> {
    match behind_references(ty) {
        Type::Slice(slice) => pointed_at(&slice.elem),
        Type::Array(array) => pointed_at(&array.elem),
        ty @ Type::Path(path) => {
            let inside = path.path.segments.last().map_or_else(Vec::new, inside);
            if inside.is_empty() { vec![ty.clone()] } else { inside.into_iter().flat_map(pointed_at).collect() }
        }
        _ => Vec::new(),
    }
}

/// The type that a pattern matches, which looks through references.
pub(super) fn behind_references(ty: &Type) -> &Type {
    match ungrouped(ty) {
        Type::Reference(TypeReference { elem, .. }) => behind_references(elem),
        ty => ty,
    }
}

/// Types that show the one value, or the list, that they hold.
pub(super) const POINTERS: [&str; 19] = [
    "Recorded",
    "Rejected",
    "Arc",
    "Rc",
    "Box",
    "Pin",
    "Cow",
    "Option",
    "Vec",
    "VecDeque",
    "LinkedList",
    "Mutex",
    "RwLock",
    "RefCell",
    "OnceCell",
    "OnceLock",
    "LazyCell",
    "LazyLock",
    "ManuallyDrop",
];

/// Those that show both.
pub(super) const OF_TWO: [&str; 3] = ["Result", "HashMap", "BTreeMap"];

/// The types that a pointer or container of that name shows.
fn inside(PathSegment { ident, arguments, .. }: &PathSegment) -> Vec<&Type> {
    let is_of_two = OF_TWO.iter().any(|name| ident == name);
    let shown = if is_of_two { 2 } else { usize::from(is_pointer(ident)) };
    let PathArguments::AngleBracketed(arguments) = arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.take(shown).collect()
}

/// Types without fields, which need no check.
const PLAIN: [&str; 18] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "String", "u8", "u16", "u32",
    "u64", "u128", "usize",
];

/// Whether a type is one of them.
pub(crate) fn is_plain(ty: &Type) -> bool {
    PLAIN.iter().any(|plain| is_type(ty, plain))
}

/// Whether a type is written as that name alone.
pub(crate) fn is_type<N: ?Sized>(ty: &Type, name: &N) -> bool
where
    Ident: PartialEq<N>,
{
    matches!(ty, Type::Path(path) if path.qself.is_none() && path.path.get_ident().is_some_and(|ident| ident == name))
}

fn is_pointer(ident: &Ident) -> bool {
    POINTERS.iter().any(|name| ident == name)
}

/// Whether the compiler is to find out some of a type.
pub(super) fn is_inferred(ty: &Type) -> bool {
    struct Find(bool);
    impl Visit<'_> for Find {
        fn visit_type_infer(&mut self, _: &TypeInfer) {
            self.0 = true;
        }

        fn visit_expr_infer(&mut self, _: &ExprInfer) {
            self.0 = true;
        }
    }
    let mut find = Find(false);
    find.visit_type(ty);
    find.0
}

/// Replaces each lifetime by `'_`: the check is in a function, where the compiler infers them.
pub(super) struct Elided;

impl VisitMut for Elided {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'_", lifetime.span());
    }

    /// Those of `fn(&'a T)` and `dyn for<'a> ..` are their own.
    fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}

    fn visit_type_trait_object_mut(&mut self, _: &mut syn::TypeTraitObject) {}
}
