//! `/api/v1/storefront/{merchant}`: products on sale, and the tree of categories.

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bastide_commerce::{
    Example, Slug,
    queries::{catalogue, categories, products},
    rows::{CategoryNode, ShopProduct},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    contract::{Routes, get},
    merchant::Shop,
    path::At,
    problem::Problem,
};

/// Slugs of before may be longer than those one can give today; beyond this there is nothing to look up.
const LONGEST_SLUG: usize = 500;

pub(super) fn routes() -> Routes {
    Routes::of("storefront", "What visitors of a shop see.")
        .with(
            get(
                "/api/v1/storefront/{merchant}/products/{slug}",
                "get_product_on_sale",
                "A product on sale, with its variants",
                product,
            )
            .answers::<ShopProduct>(StatusCode::OK, "It.")
            .answers_empty(
                StatusCode::PERMANENT_REDIRECT,
                "It had this slug before: `Location` has its address now.",
            ),
        )
        .with(get(
            "/api/v1/storefront/{merchant}/categories",
            "list_category_tree",
            "All categories, as a tree",
            tree,
        ))
}

#[derive(Debug, Deserialize, IntoParams)]
struct SlugPath {
    /// The product's.
    slug: String,
}

#[derive(Serialize, ToSchema)]
struct CategoryTree {
    data: Vec<CategoryNode>,
}

impl Example for CategoryTree {
    fn example() -> Value {
        json!({ "data": [CategoryNode::example()] })
    }
}

async fn product(State(app): State<App>, shop: Shop, At(at): At<SlugPath>) -> Result<Response, Problem> {
    if at.slug.len() > LONGEST_SLUG || at.slug.chars().any(char::is_control) {
        return Err(Problem::not_found());
    }
    if let Some(product) = products::by_slug(app.pool(), &shop.tenant, &at.slug).await? {
        return Ok(Json(product).into_response());
    }
    let now = catalogue::slug_after(app.pool(), &shop.tenant, &at.slug).await?;
    // Relative, so that nothing of the request is in it; a slug that was given has nothing to escape.
    let now = now.and_then(|slug| Slug::parse(&slug)).ok_or_else(Problem::not_found)?;
    let location = HeaderValue::from_str(now.as_str()).map_err(|_| Problem::not_found())?;
    Ok((StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response())
}

async fn tree(State(app): State<App>, shop: Shop) -> Result<Json<CategoryTree>, Problem> {
    let rows = categories::all(app.pool(), &shop.tenant).await?;
    Ok(Json(CategoryTree { data: CategoryNode::tree(rows) }))
}
