//! The API against its own document: docs/openapi.json is what the code says, says all that clients need, and has a test for every route.

mod document;
mod driver;
mod operations;
#[path = "../site/mod.rs"]
mod site;

use bastide_server::App;
use driver::Scene;

#[tokio::test]
async fn every_operation_holds_against_other_merchants_wrong_roles_and_bad_input() {
    let scene = Scene::open(App::router).await;
    let cases = operations::cases(&scene).await;
    let complaints = driver::complaints(&scene, &document::openapi(), &cases).await;
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
