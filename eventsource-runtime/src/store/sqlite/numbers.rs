//! Versions and positions as values of statements and rows.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::store::{Position, Version};

macro_rules! integer {
    ($name:ident) => {
        /// As an `INTEGER`.
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                let number = i64::try_from(self.get());
                number.map(ToSqlOutput::from).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
            }
        }

        /// From an `INTEGER`.
        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                u64::column_result(value).map(Self::new)
            }
        }
    };
}
integer!(Version);
integer!(Position);

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn places_are_written_into_a_row_and_read_from_it() {
        let connection = Connection::open_in_memory().unwrap();
        let (version, position) = (Version::new(7), Position::new(i64::MAX.unsigned_abs()));
        let read = connection.query_row("SELECT ?1, ?2", (version, position), |row| Ok((row.get(0)?, row.get(1)?)));
        assert_eq!(read.unwrap(), (version, position));
    }

    #[test]
    fn a_place_beyond_an_integer_is_refused_and_so_is_what_is_none() {
        let connection = Connection::open_in_memory().unwrap();
        let beyond = Position::new(i64::MAX.unsigned_abs() + 1);
        let refused = connection.query_row("SELECT ?1", [beyond], |row| row.get::<_, Position>(0)).unwrap_err();
        assert!(matches!(refused, rusqlite::Error::ToSqlConversionFailure(_)), "{refused:?}");
        for none in ["-1", "'7'", "NULL"] {
            let read = connection.query_row(&format!("SELECT {none}"), [], |row| row.get::<_, Version>(0));
            assert!(read.is_err(), "{none}");
        }
    }
}
