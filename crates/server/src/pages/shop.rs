//! `/shop/{merchant}`: the storefront.

use axum::{
    extract::State,
    http::{HeaderName, header},
    response::IntoResponse,
};
use bastide_commerce::{
    queries::{Page, products, storefronts},
    rows::{Product, Storefront},
};
use maud::{Markup, html};

use super::frame;
use crate::{
    app::App,
    merchant::Shop,
    page::{PageRequest, next_cursor},
    problem::Problem,
    routes::PRODUCTS,
};

const PRODUCTS_ON_A_PAGE: u16 = 24;
const DESCRIPTION_CHARS: usize = 110;

pub(crate) async fn page(
    State(app): State<App>,
    shop: Shop,
    request: PageRequest,
) -> Result<Markup, Problem> {
    let after = request.after(&app, PRODUCTS, &shop.tenant)?;
    let first = after.is_none();
    let storefront = storefronts::of_tenant(app.pool(), &shop.tenant).await?;
    let products = products::on_sale(app.pool(), &shop.tenant, after, PRODUCTS_ON_A_PAGE).await?;
    let next = next_cursor(&app, PRODUCTS, &shop.tenant, &products, Product::position)?;
    Ok(render(&shop, &storefront, &products, first, next.as_deref()))
}

fn render(
    shop: &Shop,
    storefront: &Storefront,
    products: &Page<Product>,
    first: bool,
    next: Option<&str>,
) -> Markup {
    let here = format!("/shop/{}", frame::segment(&shop.merchant.slug));
    let name = &shop.merchant.name;
    frame::page(
        name,
        Some(&format!("{here}/theme.css")),
        &html! {
            header.masthead {
                div.wide {
                    a.brand href=(here) { (name) }
                    @if let Some(tagline) = &storefront.tagline { p.tagline { (tagline) } }
                }
            }
            main.wide {
                h1.section { @if first { "New in the shop" } @else { "More from the shop" } }
                @if products.rows.is_empty() { p.quiet { "Nothing is on sale here yet." } }
                ul.grid {
                    @for product in &products.rows {
                        li.card {
                            div.picture aria-hidden="true" { (initial(&product.name)) }
                            div.text {
                                h2 { (product.name) }
                                @if let Some(description) = product.description.as_deref().filter(|text| !text.is_empty()) {
                                    p.quiet { (shortened(description)) }
                                }
                                p.price { (product.price) }
                            }
                        }
                    }
                }
                nav.pages {
                    @if !first { a href=(here) { "← First page" } }
                    @if let Some(cursor) = next { a.next href={ (here) "?cursor=" (cursor) } rel="next" { "More products →" } }
                }
            }
            footer.wide { p.quiet { (name) " · prices in " (shop.merchant.currency) } }
        },
    )
}

/// `/shop/{merchant}/theme.css`: the accent, which [`Accent`](bastide_commerce::rows::Accent) guarantees to be a colour and nothing more.
pub(crate) async fn theme(State(app): State<App>, shop: Shop) -> Result<impl IntoResponse, Problem> {
    let storefront = storefronts::of_tenant(app.pool(), &shop.tenant).await?;
    let css = storefront.accent.map_or_else(String::new, |accent| {
        let text = if accent.wants_dark_text() { "#14171a" } else { "#ffffff" };
        format!(":root {{ --accent: {accent}; --on-accent: {text}; }}\n")
    });
    let headers: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "public, max-age=60")];
    Ok((headers, css))
}

fn initial(name: &str) -> String {
    name.chars().find(|c| c.is_alphanumeric()).map_or_else(|| "·".to_owned(), |c| c.to_uppercase().collect())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(DESCRIPTION_CHARS) {
        // At the last space before the end, where there is one.
        Some((end, _)) => format!("{}…", text[..end].rsplit_once(' ').map_or(&text[..end], |(kept, _)| kept)),
        None => text.to_owned(),
    }
}
