//! Ids in a path. What cannot be one is the id of nothing: 404, as for one that is another merchant's.

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use utoipa::{IntoParams, openapi::path::ParameterIn};

use crate::{
    code::Code,
    contract::{Draft, Input},
    problem::Problem,
};

/// The path's parameters, by name, but for the merchant.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(named)| Self(named)).map_err(|_| Problem::not_found())
    }
}

impl<T: IntoParams> Input for At<T> {
    fn describe(draft: &mut Draft) {
        for parameter in T::into_params(|| Some(ParameterIn::Path)) {
            draft.parameter_object(json!(parameter));
        }
        draft.may_refuse(&[Code::NotFound]);
    }
}
