//! `/api/v1/admin/{merchant}/products/{product}/variants`

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    drafts::{VariantChange, VariantDraft},
    queries::{audit, catalogue, variants},
    rows::{Variant, VersionedVariant},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    products::{created, fits},
    refusals,
};
use crate::{
    app::App,
    asked::Asked,
    body::Body,
    code::Code,
    contract::{Routes, delete, get, patch, post},
    etag::{ETag, IfMatch, IfNoneMatch, Tagged, written},
    merchant::Team,
    path::At,
    permission::{ReadCatalogue, WriteCatalogue},
    problem::Problem,
};

const ENTITY: &str = "variant";
const ALL: &str = "/api/v1/admin/{merchant}/products/{product}/variants";
const ONE: &str = "/api/v1/admin/{merchant}/products/{product}/variants/{id}";

pub(super) fn routes() -> Routes {
    Routes::of("variants", "The variants of a product; the product itself has them all.")
        .with(
            post(ALL, "create_variant", "Add a variant", create)
                .answers::<Variant>(StatusCode::CREATED, "It, with its ETag and Location.")
                .refuses(&[Code::LimitReached]),
        )
        .with(get(ONE, "get_variant", "A variant", read).answers::<Variant>(StatusCode::OK, "It."))
        .with(patch(ONE, "update_variant", "Change a variant", update))
        .with(
            delete(ONE, "delete_variant", "Delete a variant of a product nobody ordered", remove)
                .answers_empty(StatusCode::NO_CONTENT, "It is gone, with its stock.")
                .refuses(&[Code::ProductOrdered, Code::LastVariant]),
        )
}

#[derive(Debug, Deserialize, IntoParams)]
struct ProductPath {
    /// The product's.
    product: i64,
}

#[derive(Debug, Deserialize, IntoParams)]
struct VariantPath {
    /// The product's.
    product: i64,
    /// The variant's.
    id: i64,
}

fn tagged(found: VersionedVariant) -> Tagged<Variant> {
    Tagged::new(ETag::new(ENTITY, found.variant.id, found.version), found.variant)
}

async fn read(
    State(app): State<App>,
    team: Team<ReadCatalogue>,
    At(at): At<VariantPath>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let found = variants::get(app.pool(), &team.tenant, at.product, at.id).await?;
    Ok(tagged(found.ok_or_else(Problem::not_found)?).unless_known(&known))
}

async fn create(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<ProductPath>,
    asked: Asked,
    Body(sent): Body<VariantDraft>,
) -> Result<Response, Problem> {
    refusals::currency([("/price".to_owned(), &sent.price)], &team.merchant.currency)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let product = catalogue::lock(&mut tx, at.product).await?.ok_or_else(Problem::not_found)?;
    if product.variants.len() >= variants::MOST {
        return Err(Problem::of(Code::LimitReached));
    }
    let made = variants::insert(&mut tx, at.product, std::slice::from_ref(&sent)).await;
    let made = made.map_err(|error| refusals::of_product(error, "/sku"))?;
    fits(&catalogue::get_in(&mut tx, at.product).await?.ok_or_else(Problem::not_found)?, "/options")?;
    let id = made.first().copied().unwrap_or_default();
    let found = variants::get_in(&mut tx, at.product, id).await?.ok_or_else(Problem::not_found)?;
    audit::record(&mut tx, &team.did(&asked, "variant.create", id, &[])).await?;
    tx.commit().await?;
    Ok(created(&format!("variants/{id}"), tagged(found)))
}

async fn update(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<VariantPath>,
    asked: Asked,
    if_match: IfMatch,
    Body(sent): Body<VariantChange>,
) -> Result<Tagged<Variant>, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    refusals::currency(sent.price.iter().map(|price| ("/price".to_owned(), price)), &team.merchant.currency)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    // Of two changes that fit only alone, one comes second.
    catalogue::lock(&mut tx, at.product).await?.ok_or_else(Problem::not_found)?;
    let changed = variants::update(&mut tx, at.product, at.id, version, &sent)
        .await
        .map_err(|error| refusals::of_product(error, "/sku"))?;
    let found = written(changed, ENTITY, at.id)?;
    if sent.options.is_some() || sent.status.is_some() {
        fits(&catalogue::get_in(&mut tx, at.product).await?.ok_or_else(Problem::not_found)?, "/options")?;
    }
    audit::record(&mut tx, &team.did(&asked, "variant.update", at.id, &fields(&sent))).await?;
    tx.commit().await?;
    Ok(tagged(found))
}

async fn remove(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<VariantPath>,
    asked: Asked,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let product = catalogue::lock(&mut tx, at.product).await?.ok_or_else(Problem::not_found)?;
    if product.variants.iter().all(|variant| variant.id == at.id) {
        return Err(Problem::of(Code::LastVariant));
    }
    if catalogue::was_ordered(&mut tx, at.product).await? {
        return Err(Problem::of(Code::ProductOrdered));
    }
    written(variants::delete(&mut tx, at.product, at.id, version).await?, ENTITY, at.id)?;
    audit::record(&mut tx, &team.did(&asked, "variant.delete", at.id, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn fields(sent: &VariantChange) -> Vec<&'static str> {
    let all = [
        ("sku", sent.sku.is_some()),
        ("title", sent.title.is_some()),
        ("price", sent.price.is_some()),
        ("options", sent.options.is_some()),
        ("position", sent.position.is_some()),
        ("status", sent.status.is_some()),
    ];
    all.into_iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| name).collect()
}
