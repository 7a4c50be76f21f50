//! `/api/v1/admin/{merchant}/products/{product}/media`, and the files at `/media/{merchant}/{file}`.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Changed, Version,
    drafts::PictureChange,
    queries::{
        audit, catalogue,
        media::{self, Kept},
    },
    rows::Picture,
};
use bastide_tenancy::TenantTx;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::products::{ENTITY, created};
use crate::{
    app::App,
    asked::Asked,
    body::Body,
    code::Code,
    contract::{Routes, delete, get, patch, post},
    etag::{IfMatch, written},
    media::{FileName, Image, MediaStore, Upload, inspect},
    merchant::{Shop, Team},
    path::At,
    permission::WriteCatalogue,
    problem::Problem,
};

const ALL: &str = "/api/v1/admin/{merchant}/products/{product}/media";
const ONE: &str = "/api/v1/admin/{merchant}/products/{product}/media/{id}";

pub(super) fn routes() -> Routes {
    let file = json!({ "type": "string", "contentMediaType": "image/png" });
    Routes::of(
        "media",
        "Pictures of products. `If-Match` is the product's ETag: its pictures are part of it.",
    )
    .with(
        post(ALL, "add_picture", "Add a picture", add)
            .answers::<Picture>(StatusCode::CREATED, "It, or the same one that was there.")
            .refuses(&[Code::LimitReached, Code::NoMediaStore]),
    )
    .with(
        patch(ONE, "update_picture", "Describe a picture, or put it elsewhere", update)
            .answers::<Picture>(StatusCode::OK, "It."),
    )
    .with(
        delete(ONE, "remove_picture", "Take a picture away", remove)
            .answers_empty(StatusCode::NO_CONTENT, "It is no picture of this product any more."),
    )
    .with(
        get("/media/{merchant}/{file}", "get_picture", "The file of a picture", show)
            .answers_with(StatusCode::OK, "It, for ever the same.", "image/png", &file, &json!(""))
            .refuses(&[Code::NoMediaStore]),
    )
}

#[derive(Debug, Deserialize, IntoParams)]
struct ProductPath {
    /// The product's.
    product: i64,
}

#[derive(Debug, Deserialize, IntoParams)]
struct PicturePath {
    /// The product's.
    product: i64,
    /// The picture's.
    id: i64,
}

#[derive(Debug, Deserialize, IntoParams)]
struct FilePath {
    /// `file` of a picture.
    file: String,
}

fn store(app: &App) -> Result<Arc<dyn MediaStore>, Problem> {
    app.config().media.clone().ok_or_else(|| Problem::of(Code::NoMediaStore))
}

/// What may block, elsewhere.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            tracing::error!(%error, "a picture could not be kept or read");
            Err(Problem::of(Code::Internal))
        }
        Err(_) => Err(Problem::of(Code::Internal)),
    }
}

async fn add(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<ProductPath>,
    asked: Asked,
    Upload(bytes): Upload,
) -> Result<Response, Problem> {
    let image = inspect(&bytes).ok_or_else(|| Problem::of(Code::ImageInvalid))?;
    let product =
        catalogue::get(app.pool(), &team.tenant, at.product).await?.ok_or_else(Problem::not_found)?;
    if product.media.len() >= media::MOST {
        return Err(Problem::of(Code::LimitReached));
    }
    let (store, tenant) = (store(&app)?, team.tenant.clone());
    let length = bytes.len();
    // Before the row that tells of it. No transaction is open meanwhile: a disk may be slow.
    let name = aside(move || {
        let name = FileName::of(&bytes, image.kind);
        store.put(&tenant, &name, &bytes).map(|()| name)
    })
    .await?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let product = catalogue::lock(&mut tx, at.product).await?.ok_or_else(Problem::not_found)?;
    if product.media.len() >= media::MOST {
        return Err(Problem::of(Code::LimitReached));
    }
    let picture = media::add(&mut tx, at.product, &kept(&name, image, length)?).await?;
    audit::record(&mut tx, &team.did(&asked, "picture.add", picture.id, &[])).await?;
    tx.commit().await?;
    Ok(created(&format!("media/{}", picture.id), axum::Json(picture)))
}

fn kept(name: &FileName, image: Image, length: usize) -> Result<Kept<'_>, Problem> {
    let bounded = |side: u32| i32::try_from(side).map_err(|_| Problem::of(Code::ImageInvalid));
    Ok(Kept {
        hash: name.hash(),
        extension: name.kind().extension(),
        bytes: i64::try_from(length).map_err(|_| Problem::of(Code::TooLarge))?,
        width: bounded(image.width)?,
        height: bounded(image.height)?,
    })
}

/// Nobody else changes the product from here on, and it is as the caller read it.
async fn locked(tx: &mut TenantTx, product: i64, version: Version) -> Result<(), Problem> {
    let found = catalogue::lock(tx, product).await?;
    let current = found.as_ref().map(|product| product.version);
    let same = version.parameter().is_none_or(|wanted| current == Some(wanted));
    written(Changed::of(found.filter(|_| same), current), ENTITY, product).map(drop)
}

async fn update(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<PicturePath>,
    asked: Asked,
    if_match: IfMatch,
    Body(sent): Body<PictureChange>,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    locked(&mut tx, at.product, if_match.version(ENTITY, at.product)?).await?;
    let picture = media::update(&mut tx, at.product, at.id, &sent).await?.ok_or_else(Problem::not_found)?;
    audit::record(&mut tx, &team.did(&asked, "picture.update", at.id, &["alt", "position"])).await?;
    tx.commit().await?;
    Ok(axum::Json(picture).into_response())
}

async fn remove(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<PicturePath>,
    asked: Asked,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    locked(&mut tx, at.product, if_match.version(ENTITY, at.product)?).await?;
    if !media::remove(&mut tx, at.product, at.id).await? {
        return Err(Problem::not_found());
    }
    audit::record(&mut tx, &team.did(&asked, "picture.remove", at.id, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Of this merchant and no other, although the name says what is in it: whether somebody else has the same file is nobody's business.
async fn show(State(app): State<App>, shop: Shop, At(at): At<FilePath>) -> Result<Response, Problem> {
    let name = FileName::parse(&at.file).ok_or_else(Problem::not_found)?;
    let (kind, store) = (name.kind(), store(&app)?);
    if !media::is_shown(app.pool(), &shop.tenant, name.hash(), kind.extension()).await? {
        return Err(Problem::not_found());
    }
    let tenant = shop.tenant;
    let bytes = aside(move || store.get(&tenant, &name)).await?.ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind.media_type())),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("inline")),
    ];
    Ok((headers, bytes).into_response())
}
