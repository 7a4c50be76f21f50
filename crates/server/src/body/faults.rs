//! Everything that is wrong with what was sent, collected before anything is refused.

use std::{borrow::Cow, ops::RangeInclusive};

use crate::{
    code::FieldCode,
    problem::{FieldError, Place, Problem},
};

/// What a type demands beyond its shape. Plain: no database, no clock.
pub(crate) trait Validate {
    fn validate(&self, faults: &mut Faults);
}

pub(crate) struct Faults {
    place: Place,
    found: Vec<FieldError>,
}

impl Faults {
    /// Of a body or of the query's parameters.
    pub(crate) fn of(place: Place) -> Self {
        Self { place, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, pointer: &str, code: FieldCode, message: impl Into<Cow<'static, str>>) {
        self.found.push(FieldError::new(self.place, pointer, code, message));
    }

    pub(crate) fn check(
        &mut self,
        pointer: &str,
        holds: bool,
        code: FieldCode,
        message: impl Into<Cow<'static, str>>,
    ) {
        if !holds {
            self.add(pointer, code, message);
        }
    }

    /// So many characters, none of them a control character but line breaks and tabs.
    pub(crate) fn text(&mut self, pointer: &str, text: &str, characters: RangeInclusive<usize>) {
        let (least, most) = (*characters.start(), *characters.end());
        let count = text.chars().count();
        if count < least {
            self.add(pointer, FieldCode::TooShort, format!("must have at least {least} characters"));
        } else if count > most {
            self.add(pointer, FieldCode::TooLong, format!("must have at most {most} characters"));
        }
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.add(pointer, FieldCode::Malformed, "must not hold control characters");
        }
    }

    pub(crate) fn none(self) -> Result<(), Problem> {
        if self.found.is_empty() { Ok(()) } else { Err(Problem::fields(self.found)) }
    }
}
