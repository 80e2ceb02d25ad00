//! Versions and positions as values of statements and rows.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::store::{Position, Version};

macro_rules! bigint {
    ($name:ident) => {
        /// As a `bigint`.
        impl ToSql for $name {
            fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                i64::try_from(self.get())?.to_sql(of, out)
            }

            accepts!(INT8);
            to_sql_checked!();
        }

        /// From a `bigint`.
        impl<'a> FromSql<'a> for $name {
            fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
                Ok(Self::try_from(i64::from_sql(of, raw)?)?)
            }

            accepts!(INT8);
        }
    };
}
bigint!(Version);
bigint!(Position);

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &(dyn ToSql + Sync)) -> Result<BytesMut, Box<dyn Error + Sync + Send>> {
        let mut out = BytesMut::new();
        value.to_sql_checked(&Type::INT8, &mut out).map(|_| out)
    }

    #[test]
    fn places_are_written_as_a_bigint_and_read_from_it() {
        let most = Position::new(i64::MAX.unsigned_abs());
        let (version, position) = (written(&Version::new(7)).unwrap(), written(&most).unwrap());
        assert_eq!((version.clone(), position.clone()), (written(&7_i64).unwrap(), written(&i64::MAX).unwrap()));
        assert_eq!(Version::from_sql(&Type::INT8, &version).unwrap(), 7);
        assert_eq!(Position::from_sql(&Type::INT8, &position).unwrap(), most);
    }

    #[test]
    fn a_place_beyond_a_bigint_is_refused_and_so_is_what_is_none() {
        assert!(written(&Position::new(i64::MAX.unsigned_abs() + 1)).is_err());
        assert!(Version::from_sql(&Type::INT8, &written(&-1_i64).unwrap()).is_err());
        assert!(!<Version as ToSql>::accepts(&Type::INT4) && !<Position as FromSql<'_>>::accepts(&Type::TEXT));
    }
}
