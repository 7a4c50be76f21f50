//! `/store/{merchant}`: a first admin, a sign-in and the orders.

use axum::{
    Form,
    extract::{FromRequestParts, Request, State, rejection::FormRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
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
    code::Code,
    merchant::{Member, Team, slug},
    page::{PageRequest, next_cursor},
    permission::ReadOrders,
    problem::Problem,
    routes::{self, ORDERS},
    session::{COOKIE, Session},
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
    let Some(session) = Session::from_cookie(&app, &headers) else {
        return Ok(form(&slug, None).into_response());
    };
    let member = match Member::of_session(&app, session, &slug, &asked).await {
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => {
            return Ok(form(&slug, None).into_response());
        }
        outcome => outcome?,
    };
    let team: Team<ReadOrders> = member.may()?;
    let after = request.after(&app, ORDERS, &team.tenant)?;
    let first = after.is_none();
    let page = orders::newest(app.pool(), &team.tenant, after, ORDERS_ON_A_PAGE).await?;
    let next = next_cursor(&app, ORDERS, &team.tenant, &page, Order::position)?;
    Ok(orders_page(&team, &page, first, next.as_deref()).into_response())
}

#[derive(Deserialize)]
pub(crate) struct SignIn {
    email: String,
    password: String,
}

pub(crate) async fn sign_in(
    State(app): State<App>,
    asked: Asked,
    Slug(slug): Slug,
    headers: HeaderMap,
    body: Result<Form<SignIn>, FormRejection>,
) -> Result<Response, Problem> {
    refuse_other_sites(&headers)?;
    let Form(sent) = body.map_err(|rejection| Problem::of_status(rejection.status()))?;
    match routes::sign_in(&app, &asked, &sent.email, sent.password, Some(&slug)).await {
        Ok((session, _)) => {
            let cookie = format!(
                "{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={}",
                session.token(&app)?,
                app.config().session_lifetime.as_secs()
            );
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&address(&slug))).into_response())
        }
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            Ok((StatusCode::UNAUTHORIZED, form(&slug, Some(&problem.detail))).into_response())
        }
        Err(problem) => Err(problem),
    }
}

pub(crate) async fn sign_out(Slug(slug): Slug, request: Request) -> Result<Response, Problem> {
    refuse_other_sites(request.headers())?;
    let cookie = format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&address(&slug))).into_response())
}

/// A form on another site must not sign anybody in or out. Browsers say where a request comes from; other clients need not.
fn refuse_other_sites(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(Problem::of(Code::CrossSite)),
    }
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
