//! `/api/v1/admin/{merchant}/categories`

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example,
    drafts::{CategoryChange, CategoryDraft},
    queries::{
        audit,
        categories::{self, Planted},
    },
    rows::Category,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{filter::Contents, products::created, refusals};
use crate::{
    app::App,
    asked::Asked,
    body::Body,
    code::{Code, FieldCode},
    contract::{Routes, delete, get, patch, post},
    etag::{ETag, IfMatch, IfNoneMatch, Tagged, written},
    merchant::Team,
    path::At,
    permission::{ReadCatalogue, WriteCatalogue},
    problem::Problem,
};

const ENTITY: &str = "category";
const ALL: &str = "/api/v1/admin/{merchant}/categories";
const ONE: &str = "/api/v1/admin/{merchant}/categories/{id}";

pub(super) fn routes() -> Routes {
    Routes::of("categories", "Where products are put.")
        .with(get(ALL, "list_categories", "All categories", list))
        .with(
            post(ALL, "create_category", "Add a category", create)
                .answers::<Category>(StatusCode::CREATED, "It, with its ETag and Location.")
                .refuses(&[Code::LimitReached]),
        )
        .with(get(ONE, "get_category", "A category", read).answers::<Category>(StatusCode::OK, "It."))
        .with(patch(ONE, "update_category", "Change a category, or move it with all below it", update))
        .with(
            delete(ONE, "delete_category", "Delete a category", remove)
                .answers_empty(StatusCode::NO_CONTENT, "It is gone.")
                .refuses(&[Code::CategoryNotEmpty]),
        )
}

#[derive(Debug, Deserialize, IntoParams)]
struct CategoryPath {
    /// The category's.
    id: i64,
}

#[derive(Serialize, ToSchema)]
struct CategoryList {
    /// Siblings in their order; a tree by `parent_id`.
    data: Vec<Category>,
}

impl Example for CategoryList {
    fn example() -> Value {
        json!({ "data": [Category::example()] })
    }
}

fn tagged(category: Category) -> Tagged<Category> {
    Tagged::new(ETag::new(ENTITY, category.id, category.version), category)
}

async fn list(State(app): State<App>, team: Team<ReadCatalogue>) -> Result<Json<CategoryList>, Problem> {
    Ok(Json(CategoryList { data: categories::all(app.pool(), &team.tenant).await? }))
}

async fn read(
    State(app): State<App>,
    team: Team<ReadCatalogue>,
    At(at): At<CategoryPath>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let category = categories::get(app.pool(), &team.tenant, at.id).await?.ok_or_else(Problem::not_found)?;
    Ok(tagged(category).unless_known(&known))
}

async fn create(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    asked: Asked,
    Body(sent): Body<CategoryDraft>,
) -> Result<Response, Problem> {
    let mut tx = app.pool().begin(&team.tenant).await?;
    let category = planted(categories::create(&mut tx, &sent).await?)?;
    audit::record(&mut tx, &team.did(&asked, "category.create", category.id, &[])).await?;
    tx.commit().await?;
    Ok(created(&format!("categories/{}", category.id), tagged(category)))
}

async fn update(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<CategoryPath>,
    asked: Asked,
    if_match: IfMatch,
    Body(sent): Body<CategoryChange>,
) -> Result<Tagged<Category>, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let changed = planted(categories::update(&mut tx, at.id, version, &sent).await?)?;
    let category = written(changed, ENTITY, at.id)?;
    let all = [
        ("name", sent.name.is_some()),
        ("parent_id", sent.parent_id.is_some()),
        ("position", sent.position.is_some()),
    ];
    let fields: Vec<&str> = all.into_iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| name).collect();
    audit::record(&mut tx, &team.did(&asked, "category.update", at.id, &fields)).await?;
    tx.commit().await?;
    Ok(tagged(category))
}

async fn remove(
    State(app): State<App>,
    team: Team<WriteCatalogue>,
    At(at): At<CategoryPath>,
    asked: Asked,
    if_match: IfMatch,
    contents: Contents,
) -> Result<Response, Problem> {
    let version = if_match.version(ENTITY, at.id)?;
    let mut tx = app.pool().begin(&team.tenant).await?;
    let changed = planted(categories::delete(&mut tx, at.id, version, contents.move_up).await?)?;
    written(changed, ENTITY, at.id)?;
    audit::record(&mut tx, &team.did(&asked, "category.delete", at.id, &[])).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn planted<T>(came: Planted<T>) -> Result<T, Problem> {
    let wrong = |code, message| Err(refusals::field("/parent_id", code, message));
    match came {
        Planted::Done(done) => Ok(done),
        Planted::NoParent => wrong(FieldCode::UnknownValue, "there is no such category"),
        Planted::Circle => wrong(FieldCode::OutOfRange, "is below this category"),
        Planted::TooDeep => wrong(FieldCode::OutOfRange, "is too deep: a tree has at most 8 levels"),
        Planted::TooMany => Err(Problem::of(Code::LimitReached)),
        Planted::NotEmpty => Err(Problem::of(Code::CategoryNotEmpty)),
    }
}
