//! A file that is sent as it is: bounded in size and time before anything is made of it.

use axum::{
    body::{self, Bytes},
    extract::{FromRequest, Request},
    http::header,
};

use super::ImageKind;
use crate::{
    app::App,
    code::Code,
    contract::{Draft, Input},
    problem::Problem,
};

const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What it says it is does not matter beyond its being a picture: it is looked at.
pub(crate) struct Upload(pub(crate) Bytes);

impl FromRequest<App> for Upload {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if !kind.is_some_and(|kind| ImageKind::ALL.iter().any(|known| known.media_type() == kind)) {
            let detail = "Send a picture: Content-Type: image/gif, image/jpeg, image/png or image/webp.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let whole = body::to_bytes(request.into_body(), MAX_BYTES);
        let whole = tokio::time::timeout(app.config().body_timeout, whole).await;
        let whole = whole.map_err(|_| Problem::of(Code::BodyTimeout))?;
        whole.map(Self).map_err(|error| {
            let too_large = std::error::Error::source(&error)
                .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
            Problem::of(if too_large { Code::TooLarge } else { Code::BadRequest })
        })
    }
}

impl Input for Upload {
    fn describe(draft: &mut Draft) {
        let kinds: Vec<&str> = ImageKind::ALL.iter().map(|kind| kind.media_type()).collect();
        draft.takes_file(&kinds);
        draft.may_refuse(&[
            Code::BadRequest,
            Code::BodyTimeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::ImageInvalid,
        ]);
    }
}
