//! `/api/v1/admin/{merchant}/products`

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    drafts::{ProductChange, ProductDraft},
    misfits,
    queries::{
        audit,
        catalogue::{self, Deleted},
    },
    rows::{ProductDetail, ProductSummary, VariantStatus},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{bodies, filter::Narrowed, refusals};
use crate::{
    app::App,
    asked::Asked,
    body::{Body, Faults},
    code::Code,
    contract::{Routes, delete, get, patch, post},
    etag::{ETag, IfMatch, IfNoneMatch, Tagged, written},
    merchant::Team,
    page::{Listing, PageRequest},
    path::At,
    permission::{ReadCatalogue, WriteCatalogue},
    problem::{Place, Problem},
};

pub(super) const ENTITY: &str = "product";
const ALL: &str = "/api/v1/admin/{merchant}/products";
const ONE: &str = "/api/v1/admin/{merchant}/products/{id}";

pub(super) fn routes() -> Routes {
    Routes::of("products", "What a merchant sells, as its team keeps it.")
        .with(get(ALL, "list_products", "Products, newest first", list))
        .with(
            post(ALL, "create_product", "Add a product with its variants", create)
                .answers::<ProductDetail>(StatusCode::CREATED, "It, with its ETag and Location."),
        )
        .with(
            get(ONE, "get_product", "A product with its variants", read)
                .answers::<ProductDetail>(StatusCode::OK, "It."),
        )
        .with(patch(ONE, "update_product", "Change a product", update))
        .with(
            delete(ONE, "delete_product", "Delete a product nobody ordered", remove)
                .answers_empty(StatusCode::NO_CONTENT, "It is gone, with its variants and their stock.")
                .refuses(&[Code::ProductOrdered]),
        )
}

#[derive(Debug, Deserialize, IntoParams)]
pub(super) struct ProductPath {
    /// The product's.
    id: i64,
}

pub(super) fn tagged(product: ProductDetail) -> Tagged<ProductDetail> {
    Tagged::new(ETag::new(ENTITY, product.summary.id, product.version), product)
}

/// Made, and where it is, as seen from where it was sent to.
pub(super) fn created(location: &str, body: impl IntoResponse) -> Response {
    let mut response = (StatusCode::CREATED, body).into_response();
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

async fn list(
    State(app): State<App>,
    team: Team<ReadCatalogue>,
    request: PageRequest,
    Narrowed(filter): Narrowed,
) -> Result<Json<Listing<ProductSummary>>, Problem> {
    let name = format!("products of the team {filter:?}");
    let after = request.after(&app, &name, &team.tenant)?;
    let page = catalogue::list(app.pool(), &team.tenant, &filter, after, request.limit).await?;
    Ok(Json(Listing::new(&app, &name, &team.tenant, page, ProductSummary::position)?))
}

async fn read(
    State(app): State<App>,
    team: Team<ReadCatalogue>,
    At(at): At<ProductPath>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let product = catalogue::get(app.pool(), &team.tenant, at.id).await?.ok_or_else(Problem::not_found)?;
    Ok(tagged(product).unless_known(&known))
}

async fn create(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    asked: Asked,
    Body(sent): Body<ProductDraft>,
) -> Result<Response, Problem> {
    let prices = sent.variants.iter().enumerate();
    let prices = prices.map(|(at, variant)| (format!("/variants/{at}/price"), &variant.price));
    refusals::currency(prices, &team.merchant.currency)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let product =
        catalogue::create(&mut tx, &sent).await.map_err(|error| refusals::of_product(error, "/variants"))?;
    let id = product.summary.id;
    audit::record(&mut tx, &team.did(&asked, "product.create", id, &[])).await?;
    tx.commit().await?;
    Ok(created(&format!("products/{id}"), tagged(product)))
}

async fn update(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<ProductPath>,
    asked: Asked,
    if_match: IfMatch,
    Body(sent): Body<ProductChange>,
) -> Result<Tagged<ProductDetail>, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let changed = catalogue::update(&mut tx, at.id, version, &sent)
        .await
        .map_err(|error| refusals::of_product(error, "/sku"))?;
    let product = written(changed, ENTITY, at.id)?;
    if sent.options.is_some() {
        fits(&product, "/options")?;
    }
    audit::record(&mut tx, &team.did(&asked, "product.update", at.id, &fields(&sent))).await?;
    tx.commit().await?;
    Ok(tagged(product))
}

async fn remove(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<ProductPath>,
    asked: Asked,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    match catalogue::delete(&mut tx, at.id, version).await? {
        Deleted::Ordered => return Err(Problem::of(Code::ProductOrdered)),
        Deleted::Changed(changed) => written(changed, ENTITY, at.id)?,
    }
    audit::record(&mut tx, &team.did(&asked, "product.delete", at.id, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Whether its variants on sale still fit its options.
pub(super) fn fits(product: &ProductDetail, pointer: &str) -> Result<(), Problem> {
    let on_sale = product.variants.iter().filter(|variant| variant.status == VariantStatus::Active);
    let mut faults = Faults::of(Place::Body);
    if !misfits(&product.options, on_sale.map(|variant| &variant.options)).is_empty() {
        bodies::misfit(&mut faults, pointer);
    }
    faults.none()
}

fn fields(sent: &ProductChange) -> Vec<&'static str> {
    let all = [
        ("name", sent.name.is_some()),
        ("slug", sent.slug.is_some()),
        ("description", sent.description.is_some()),
        ("status", sent.status.is_some()),
        ("category_id", sent.category_id.is_some()),
        ("options", sent.options.is_some()),
    ];
    all.into_iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| name).collect()
}
