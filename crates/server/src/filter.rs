//! What a list is asked for beside its page: query parameters as a type, each fault with its name. Parameters that are not the type's are refused
//! before, by the operation's description.

#![cfg_attr(not(test), allow(dead_code, reason = "the frame stands before the first lists with filters"))]

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::{
    Deserializer,
    de::{
        DeserializeOwned, IntoDeserializer, Visitor,
        value::{MapDeserializer, StringDeserializer},
    },
};
use serde_json::json;
use utoipa::{IntoParams, openapi::path::ParameterIn};

use crate::{
    body::{Fault, Faults, Validate},
    code::{Code, FieldCode},
    contract::{Draft, Input},
    problem::{FieldError, Place, Problem},
};

/// `T`'s fields are the parameters: text, numbers, booleans, enums, each optional or not.
pub(crate) struct Filter<T>(pub(crate) T);

impl<T: DeserializeOwned + Validate, S: Send + Sync> FromRequestParts<S> for Filter<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::of(Code::BadRequest))?;
        let value: T = read(pairs).map_err(|fault| {
            let error = FieldError::new(Place::Query, fault.pointer, fault.code, fault.message);
            Problem::fields(vec![error])
        })?;
        let mut faults = Faults::of(Place::Query);
        value.validate(&mut faults);
        faults.none().map(|()| Self(value))
    }
}

impl<T: IntoParams> Input for Filter<T> {
    fn describe(draft: &mut Draft) {
        for parameter in T::into_params(|| Some(ParameterIn::Query)) {
            draft.parameter_object(json!(parameter));
        }
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

fn read<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, Fault> {
    let words = pairs.into_iter().map(|(name, text)| {
        let word = Word { name: name.clone(), text };
        (name, word)
    });
    T::deserialize(MapDeserializer::<_, Fault>::new(words))
}

/// One value: text that is a number where a number is wanted.
struct Word {
    name: String,
    text: String,
}

impl Word {
    fn fault(&self, code: FieldCode, message: &'static str) -> Fault {
        Fault::new(code, message).under(&self.name)
    }
}

impl IntoDeserializer<'_, Fault> for Word {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $message:literal;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
                match self.text.parse() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(self.fault(FieldCode::Malformed, $message)),
                }
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Word {
    type Error = Fault;

    parsed! {
        deserialize_bool visit_bool "must be true or false";
        deserialize_i64 visit_i64 "must be a whole number";
        deserialize_u64 visit_u64 "must be a whole number, not negative";
        deserialize_i32 visit_i32 "must be a whole number";
        deserialize_u32 visit_u32 "must be a whole number, not negative";
        deserialize_u16 visit_u16 "must be a small whole number, not negative";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self { name, text } = self;
        visitor.visit_string(text).map_err(|fault: Fault| fault.under(&name))
    }

    /// What is empty was not said.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.text.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let Self { name, text } = self;
        let text: StringDeserializer<Fault> = text.into_deserializer();
        visitor.visit_enum(text).map_err(|fault| fault.under(&name))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use uuid::Uuid;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Sort {
        Newest,
        PriceUp,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wanted {
        q: Option<String>,
        category: Option<i64>,
        owner: Option<Uuid>,
        #[serde(default)]
        low: bool,
        sort: Option<Sort>,
    }

    fn wanted(query: &str) -> Result<Wanted, (String, &'static str)> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        });
        read(pairs.collect()).map_err(|fault| (fault.pointer, fault.code.name()))
    }

    #[test]
    fn parameters_are_typed_and_each_fault_names_its_own() {
        let found = wanted("q=7&category=7&low=true&sort=price_up&limit=5").unwrap();
        assert_eq!((found.q.as_deref(), found.category, found.low), (Some("7"), Some(7), true));
        assert_eq!(found.sort, Some(Sort::PriceUp));
        assert_eq!(wanted("q=&category=").unwrap(), wanted("").unwrap(), "empty is as good as not there");
        for (query, name, code) in [
            ("category=x", "/category", "malformed"),
            ("category=9223372036854775808", "/category", "malformed"),
            ("low=yes", "/low", "malformed"),
            ("sort=odd", "/sort", "unknown_value"),
            ("owner=x", "/owner", "malformed"),
            ("q=1&q=2", "/q", "duplicate"),
        ] {
            assert_eq!(wanted(query), Err((name.to_owned(), code)), "{query}");
        }
    }
}
