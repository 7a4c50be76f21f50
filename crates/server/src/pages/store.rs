//! `/store/{merchant}`: a first admin, a sign-in and the orders.

use axum::{
    Form,
    extract::{FromRequestParts, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use bastide_commerce::{
    queries::{Page, orders},
    rows::Order,
};
use maud::{Markup, html};
use serde::Deserialize;
use time::macros::format_description;

use super::frame;
use crate::{
    app::App,
    asked::Asked,
    client::{Client, refuse_other_sites},
    code::Code,
    merchant::{Member, Team, slug},
    page::{PageRequest, next_cursor},
    permission::ReadOrders,
    problem::Problem,
    refresh::{self, Open},
    routes::{self, ORDERS},
    session::Session,
};

const ORDERS_ON_A_PAGE: u16 = 30;

/// The `{merchant}` of the path. Anybody may ask to sign in anywhere, so that the form tells nobody which merchants there are.
pub(crate) struct Slug(String);

impl FromRequestParts<App> for Slug {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        slug(parts).await.map(Self)
    }
}

pub(crate) async fn page(
    State(app): State<App>,
    asked: Asked,
    Slug(slug): Slug,
    request: PageRequest,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (session, cookies) = match Session::from_cookie(&app, &headers) {
        Some(session) => (session, HeaderMap::new()),
        None => match continued(&app, &headers).await? {
            Some(continued) => continued,
            None => return Ok(form(&slug, None).into_response()),
        },
    };
    let member = match Member::of_session(&app, session, &slug, &asked).await {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            return Ok((cookies, form(&slug, None)).into_response());
        }
        outcome => outcome?,
    };
    let team: Team<ReadOrders> = member.may()?;
    let after = request.after(&app, ORDERS, &team.tenant)?;
    let first = after.is_none();
    let page = orders::newest(app.pool(), &team.tenant, after, ORDERS_ON_A_PAGE).await?;
    let next = next_cursor(&app, ORDERS, &team.tenant, &page, Order::position)?;
    Ok((cookies, orders_page(&team, &page, first, next.as_deref())).into_response())
}

/// A browser that comes back with its refresh token goes on, with new cookies.
async fn continued(app: &App, headers: &HeaderMap) -> Result<Option<(Session, HeaderMap)>, Problem> {
    let Some(token) = refresh::from_cookie(headers) else { return Ok(None) };
    match Open::go_on(app, token).await {
        Ok(open) => Ok(Some((open.session, open.cookies(app)?))),
        Err(problem) if problem.code == Code::InvalidToken => Ok(None),
        Err(problem) => Err(problem),
    }
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    email: String,
    password: String,
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    asked: Asked,
    client: Client,
    Slug(slug): Slug,
    headers: HeaderMap,
    body: Result<Form<SignIn>, FormRejection>,
) -> Result<Response, Problem> {
    refuse_other_sites(&headers)?;
    let Form(sent) = body.map_err(|rejection| Problem::of_status(rejection.status()))?;
    match routes::sign_in(&app, &asked, &client, &sent.email, sent.password, Some(&slug)).await {
        Ok((open, _)) => Ok((open.cookies(&app)?, Redirect::to(&address(&slug))).into_response()),
        Err(problem) if [Code::InvalidCredentials, Code::RateLimited].contains(&problem.code) => {
            Ok((problem.status(), form(&slug, Some(&problem.detail))).into_response())
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn sign_out(
    State(app): State<App>,
    Slug(slug): Slug,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    refuse_other_sites(&headers)?;
    if let Some(token) = refresh::from_cookie(&headers) {
        refresh::end(&app, token).await?;
    }
    Ok((refresh::no_cookies()?, Redirect::to(&address(&slug))).into_response())
}

fn address(slug: &str) -> String {
    format!("/store/{}", frame::segment(slug))
}

fn form(slug: &str, error: Option<&str>) -> Markup {
    frame::page(
        &format!("Sign in · {slug}"),
        None,
        &html! {
            main.narrow {
                p.eyebrow { (slug) }
                h1 { "Sign in to the shop’s office" }
                @if let Some(error) = error { p.error role="alert" { (error) } }
                form.stack method="post" action=(address(slug)) {
                    label { "E-mail address" input type="email" name="email" autocomplete="username" required; }
                    label { "Password" input type="password" name="password" autocomplete="current-password" required; }
                    button type="submit" { "Sign in" }
                }
            }
        },
    )
}

fn orders_page(team: &Team<ReadOrders>, page: &Page<Order>, first: bool, next: Option<&str>) -> Markup {
    let here = address(&team.merchant.slug);
    let theme = format!("/shop/{}/theme.css", frame::segment(&team.merchant.slug));
    frame::page(
        &format!("Orders · {}", team.merchant.name),
        Some(&theme),
        &html! {
            header.masthead {
                div.wide.row {
                    a.brand href=(here) { (team.merchant.name) }
                    form method="post" action={ (here) "/sign-out" } { button.plain type="submit" { "Sign out" } }
                }
            }
            main.wide {
                h1.section { "Orders" }
                @if page.rows.is_empty() { p.quiet { "No orders yet." } }
                @else {
                    div.scroll {
                        table {
                            thead { tr { th { "Number" } th { "Placed" } th { "Customer" } th { "Status" } th.amount { "Total" } } }
                            tbody {
                                @for order in &page.rows {
                                    tr {
                                        td { code { (order.number) } }
                                        td { (placed(order)) }
                                        td { (order.customer.as_ref().and_then(|customer| customer.name.as_deref()).unwrap_or("–")) }
                                        td { span.badge { (order.status) } }
                                        td.amount { (order.total) }
                                    }
                                }
                            }
                        }
                    }
                }
                nav.pages {
                    @if !first { a href=(here) { "← Newest" } }
                    @if let Some(cursor) = next { a.next href={ (here) "?cursor=" (cursor) } rel="next" { "Older orders →" } }
                }
            }
        },
    )
}

fn placed(order: &Order) -> String {
    const SHAPE: &[time::format_description::BorrowedFormatItem<'_>] =
        format_description!("[year]-[month]-[day] [hour]:[minute]");
    order.placed_at.format(SHAPE).unwrap_or_default()
}
