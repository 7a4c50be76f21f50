//! `/api/v1/storefront/{merchant}/products` with words, filters and an order; its facets, and suggestions.

use axum::{
    Json,
    extract::{FromRequestParts, Query, State},
    http::request::Parts,
};
use bastide_commerce::{
    Example,
    queries::{
        Page,
        search::{self, Found, Sort, Wanted},
    },
    rows::{Facets, Product},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::filter::{LONGEST_TEXT, text, whole, wrong};
use crate::{
    app::App,
    code::{Code, FieldCode},
    contract::{Draft, Input, Routes, get},
    merchant::Shop,
    page::{Listing, PageRequest, next_cursor},
    problem::Problem,
};

pub(crate) const LIST: &str = "products";

pub(super) fn routes() -> Routes {
    Routes::of("search", "What visitors of a shop look for.")
        .with(get(
            "/api/v1/storefront/{merchant}/products",
            "list_products_on_sale",
            "Products on sale, found by words, narrowed and in order",
            list,
        ))
        .with(get(
            "/api/v1/storefront/{merchant}/facets",
            "list_product_facets",
            "How many of the products on sale are what",
            facets,
        ))
        .with(get(
            "/api/v1/storefront/{merchant}/search/suggestions",
            "search_suggestions",
            "Words that begin like this, or are like it",
            suggestions,
        ))
}

/// Which of them, from the query.
struct Which(Wanted);

#[derive(Deserialize)]
struct RawWhich {
    q: Option<String>,
    category: Option<String>,
    min_price: Option<String>,
    max_price: Option<String>,
    available: Option<String>,
    option: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Which {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<RawWhich>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        let available = match raw.available.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("/available", FieldCode::UnknownValue, "must be true or false")),
        };
        let option = text("/option", raw.option)?.map(|option| {
            let pair = option.split_once(':').map(|(name, value)| (name.to_owned(), value.to_owned()));
            pair.ok_or_else(|| wrong("/option", FieldCode::Malformed, "must be a name, a colon and a value"))
        });
        Ok(Self(Wanted {
            words: text("/q", raw.q)?,
            category_id: whole("/category", raw.category.as_deref())?,
            lowest: whole("/min_price", raw.min_price.as_deref())?,
            highest: whole("/max_price", raw.max_price.as_deref())?,
            available,
            option: option.transpose()?,
        }))
    }
}

impl Input for Which {
    fn describe(draft: &mut Draft) {
        let words = json!({ "type": "string", "maxLength": LONGEST_TEXT });
        let number = json!({ "type": "integer", "format": "int64" });
        let about =
            "Words, all of them: their beginnings are enough, and a misspelt one finds what is like it.";
        draft.parameter("query", "q", false, about, &words);
        draft.parameter("query", "category", false, "Only what is in this category or below it.", &number);
        draft.parameter("query", "min_price", false, "In minor units.", &number);
        draft.parameter("query", "max_price", false, "In minor units.", &number);
        let about = "`true`: only what can be bought now.";
        draft.parameter("query", "available", false, about, &json!({ "type": "boolean", "default": false }));
        let about = "Only what has a variant with this value of this option: `Size:S`.";
        draft.parameter("query", "option", false, about, &json!({ "type": "string", "example": "Size:S" }));
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

/// In which order.
struct Order(Option<Sort>);

#[derive(Deserialize)]
struct RawOrder {
    sort: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Order {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<RawOrder>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        let named = |name: String| {
            let sort = Sort::ALL.into_iter().find(|sort| sort.name() == name);
            let message = "must be one of relevance, newest, price, -price, name";
            sort.ok_or_else(|| wrong("/sort", FieldCode::UnknownValue, message))
        };
        Ok(Self(raw.sort.map(named).transpose()?))
    }
}

impl Input for Order {
    fn describe(draft: &mut Draft) {
        let names: Vec<&str> = Sort::ALL.iter().map(|sort| sort.name()).collect();
        let about = "Without: by relevance where words are looked for, newest first elsewhere.";
        draft.parameter("query", "sort", false, about, &json!({ "type": "string", "enum": names }));
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

async fn list(
    State(app): State<App>,
    shop: Shop,
    request: PageRequest,
    Which(wanted): Which,
    Order(sort): Order,
) -> Result<Json<Listing<Product>>, Problem> {
    let usual = if wanted.words.is_some() { Sort::Relevance } else { Sort::Newest };
    let sort = sort.unwrap_or(usual);
    let name = format!("{LIST} {sort:?} {wanted:?}");
    let after = request.after(&app, &name, &shop.tenant)?;
    let page = search::products(app.pool(), &shop.tenant, &wanted, sort, after, request.limit).await?;
    let next = next_cursor(&app, &name, &shop.tenant, &page, |found: &Found| found.position.clone())?;
    let rows = page.rows.into_iter().map(|found| found.product).collect();
    Ok(Json(Listing::ending(Page { rows, has_more: page.has_more }, next)))
}

async fn facets(State(app): State<App>, shop: Shop, Which(wanted): Which) -> Result<Json<Facets>, Problem> {
    Ok(Json(search::facets(app.pool(), &shop.tenant, &wanted).await?))
}

/// What somebody has typed so far.
struct Typed(String);

#[derive(Deserialize)]
struct RawTyped {
    q: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Typed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(raw) =
            Query::<RawTyped>::try_from_uri(&parts.uri).map_err(|_| Problem::of(Code::BadRequest))?;
        Ok(Self(text("/q", raw.q)?.unwrap_or_default()))
    }
}

impl Input for Typed {
    fn describe(draft: &mut Draft) {
        let words = json!({ "type": "string", "maxLength": LONGEST_TEXT });
        draft.parameter("query", "q", false, "What was typed so far; nothing suggests nothing.", &words);
        draft.may_refuse(&[Code::BadRequest, Code::Invalid]);
    }
}

#[derive(Serialize, ToSchema)]
struct Suggestions {
    /// Ten at most, of products on sale.
    data: Vec<String>,
}

impl Example for Suggestions {
    fn example() -> Value {
        json!({ "data": ["net", "nets"] })
    }
}

async fn suggestions(
    State(app): State<App>,
    shop: Shop,
    Typed(typed): Typed,
) -> Result<Json<Suggestions>, Problem> {
    // Of the last word: those before it are words already.
    let data = match typed.split_whitespace().last() {
        Some(word) => search::suggestions(app.pool(), &shop.tenant, word).await?,
        None => Vec::new(),
    };
    Ok(Json(Suggestions { data }))
}
