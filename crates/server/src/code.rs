//! Every `code` a problem can have: a closed list, from which docs/problems.md and `/problems/{code}` are made.

use axum::http::StatusCode;
use serde::{Serialize, Serializer};

/// One row: the variant, its name, its status, its title (the same each time) and one sentence, which is also the problem's `detail` where
/// there is nothing more precise to say.
macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $title:literal $meaning:literal;)*) => {
        /// What programs decide by. Stable: a code is added, never renamed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Code {
            $($variant,)*
        }

        impl Code {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            fn row(self) -> (&'static str, u16, &'static str, &'static str) {
                match self {
                    $(Self::$variant => ($name, $status, $title, $meaning),)*
                }
            }
        }
    };
}

// In the order of their status.
codes! {
    BadRequest "bad_request" 400 "Bad request" "The request cannot be read.";
    MalformedJson "malformed_json" 400 "Malformed JSON" "The body is not JSON.";
    TooDeep "too_deep" 400 "Nested too deeply" "The body nests deeper than 16 levels.";
    InvalidCursor "invalid_cursor" 400 "Invalid cursor" "The cursor is not one of this list; start again without it.";
    IdempotencyKeyRequired "idempotency_key_required" 400 "Idempotency key required" "Send an Idempotency-Key, the same for every retry of this one act.";
    IdempotencyKeyInvalid "idempotency_key_invalid" 400 "Invalid idempotency key" "An Idempotency-Key is 1 to 255 visible ASCII characters, sent once.";
    Unauthenticated "unauthenticated" 401 "Not signed in" "Sign in first: send a bearer token.";
    InvalidToken "invalid_token" 401 "Invalid token" "The token is not valid, or no longer; sign in again.";
    InvalidCredentials "invalid_credentials" 401 "Invalid credentials" "E-mail address or password is wrong.";
    Forbidden "forbidden" 403 "Forbidden" "Your role in this team does not allow that.";
    CrossSite "cross_site" 403 "Sent from another site" "This form was sent from another site.";
    NotFound "not_found" 404 "Not found" "There is nothing here, or it is another merchant's: there is no difference.";
    MethodNotAllowed "method_not_allowed" 405 "Method not allowed" "This address does not take that method.";
    BodyTimeout "body_timeout" 408 "Body too slow" "The request's body did not arrive in time.";
    IdempotencyInFlight "idempotency_in_flight" 409 "Still being worked on" "A request with this Idempotency-Key is being worked on; ask again in a moment.";
    ProductOrdered "product_ordered" 409 "Ordered before" "Orders tell of this product, so it stays; archive it instead.";
    LastVariant "last_variant" 409 "The last variant" "A product has at least one variant; delete or archive the product instead.";
    CategoryNotEmpty "category_not_empty" 409 "Not empty" "The category holds products or categories; move them, or send contents=move_up.";
    LimitReached "limit_reached" 409 "Limit reached" "There are as many of these as there may be; delete some first.";
    LastOwner "last_owner" 409 "Last owner" "A merchant keeps an owner: make somebody else one first.";
    CartEmpty "cart_empty" 409 "Empty cart" "There is nothing in the cart.";
    CartOrdered "cart_ordered" 409 "Ordered already" "The cart was ordered, and stays as it is; begin another.";
    OffSale "off_sale" 409 "Not on sale any more" "Something in the cart is not on sale any more; `errors` names each variant: remove it.";
    OutOfStock "out_of_stock" 409 "Out of stock" "There is not as much as the cart holds; `errors` names each variant and what is left.";
    PriceChanged "price_changed" 409 "Price changed" "The cart costs something else by now; read it again, and send the total that it has.";
    StaleVersion "stale_version" 412 "Stale version" "It was changed since you read it; read it again, or send If-Match with the ETag of this answer.";
    TooLarge "too_large" 413 "Too large" "The request body is too large.";
    UnsupportedMediaType "unsupported_media_type" 415 "Unsupported media type" "Send JSON: Content-Type: application/json.";
    Invalid "invalid" 422 "Invalid" "Some of what was sent cannot be used; `errors` names each field.";
    ImageInvalid "image_invalid" 422 "Not a picture" "The file is not one whole GIF, JPEG, PNG or WebP picture of at most 50 million pixels, or it holds something else besides.";
    IdempotencyKeyReused "idempotency_key_reused" 422 "Idempotency key reused" "This Idempotency-Key was used for another request; take a new one.";
    IfMatchRequired "if_match_required" 428 "If-Match required" "Send If-Match with the ETag you read, or `*` to write over whatever is there.";
    RateLimited "rate_limited" 429 "Too many requests" "Too many requests; wait as long as Retry-After says.";
    Internal "internal" 500 "Internal error" "Something went wrong on our side.";
    Busy "busy" 503 "Busy" "Too much at once; try again in a moment.";
    DatabaseUnavailable "database_unavailable" 503 "Database unavailable" "The database is away; try again in a moment.";
    NoMediaStore "no_media_store" 503 "No place for pictures" "This server has no place for pictures; its operators set BASTIDE_MEDIA_DIR.";
    NotIsolated "not_isolated" 503 "Not served for safety" "Nothing is served at the moment, for safety; operators know.";
    TenantContextRefused "tenant_context_refused" 503 "No merchant can be reached" "No merchant can be reached at the moment; try again soon.";
    Timeout "timeout" 503 "Took too long" "That took too long; try again in a moment.";
}

impl Code {
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().1).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn title(self) -> &'static str {
        self.row().2
    }

    pub(crate) fn meaning(self) -> &'static str {
        self.row().3
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// The problem's `type`, relative to the server.
    pub(crate) fn address(self) -> String {
        format!("/problems/{}", self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// docs/problems.md.
pub(crate) fn reference() -> String {
    let mut text = String::from(HEAD);
    for code in Code::ALL {
        text.push_str(&format!("| {} | `{}` | {} |\n", code.status().as_u16(), code.name(), code.meaning()));
    }
    text.push_str(FIELDS);
    for code in FieldCode::ALL {
        text.push_str(&format!("| `{}` | {} |\n", code.name(), code.meaning()));
    }
    text
}

const HEAD: &str = "# Problems

Made from `crates/server/src/code.rs`; `BASTIDE_WRITE_DOCS=1 cargo nextest run -p bastide-server documents` writes it anew.

Every error is `application/problem+json` (RFC 9457). `type` is `/problems/<code>`, which the server answers; programs decide by `code`. What else is in it: [api.md](api.md).

| status | code | meaning |
| --- | --- | --- |
";

const FIELDS: &str = "
## Fields

`errors[]` says what is wrong with each field: `in` (`body`, `query`, `header`), a JSON pointer into it, a code and a message.

| code | meaning |
| --- | --- |
";

macro_rules! field_codes {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// What is wrong with one field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum FieldCode {
            $($variant,)*
        }

        impl FieldCode {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            fn row(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$variant => ($name, $meaning),)*
                }
            }
        }
    };
}

field_codes! {
    Required "required" "It is missing.";
    Unknown "unknown" "There is no such field.";
    Duplicate "duplicate" "It is there twice.";
    WrongType "wrong_type" "It is of another type: text for a number, say.";
    Malformed "malformed" "It does not have the form it must have.";
    UnknownValue "unknown_value" "It is none of the values there are.";
    TooShort "too_short" "It has too few characters or entries.";
    TooLong "too_long" "It has too many characters or entries.";
    OutOfRange "out_of_range" "It is too small or too large.";
    Taken "taken" "Another one has it already.";
}

impl FieldCode {
    pub(crate) fn name(self) -> &'static str {
        self.row().0
    }

    fn meaning(self) -> &'static str {
        self.row().1
    }
}

impl Serialize for FieldCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_errors_in_order_and_have_one_name_each() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].status() <= pair[1].status()));
        for code in Code::ALL {
            assert!(code.status().as_u16() >= 400 && code.meaning().ends_with('.'), "{code:?}");
            assert_eq!(Code::named(code.name()), Some(*code), "its name is another's");
            assert!(code.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
        }
    }
}
