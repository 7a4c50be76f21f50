//! `src/routes/buying`

use serde_json::{Value, json};

use crate::driver::{Case, Scene, Who};

const TOKEN: &str = "ct_of_every_case";
const CART: &str = "cccccccc-0000-4000-8000-00000000000a";
const BOUGHT: &str = "cccccccc-0000-4000-8000-00000000000d";
const HARBOURS: &str = "cccccccc-0000-4000-8000-00000000000b";

/// All with one token: it is the cart that is another merchant's.
const CARTS: &str = "INSERT INTO public.carts (tenant_id, id, token_hash) SELECT tenant::uuid, id::uuid, encode(sha256('ct_of_every_case'), 'hex') FROM (VALUES \
        ('aaaaaaaa-0000-4000-8000-000000000001', 'cccccccc-0000-4000-8000-00000000000a'), \
        ('bbbbbbbb-0000-4000-8000-000000000002', 'cccccccc-0000-4000-8000-00000000000b')) v (tenant, id); \
    INSERT INTO public.carts (tenant_id, id, token_hash) VALUES ('aaaaaaaa-0000-4000-8000-000000000001', \
        'cccccccc-0000-4000-8000-00000000000d', encode(sha256('ct_of_the_bought'), 'hex')); \
    INSERT INTO public.orders (merchant_id, number, currency, email, subtotal_cents, total_cents, cart_id) \
        VALUES ('aaaaaaaa-0000-4000-8000-000000000001', 'BOUGHT', 'EUR', 'ann@example.test', 1, 1, 'cccccccc-0000-4000-8000-00000000000d'); \
    INSERT INTO public.order_lines (tenant_id, order_id, line_no, title, sku, quantity, price_cents) \
        SELECT merchant_id, id, 1, 'Net', 'A1', 1, 1 FROM public.orders WHERE number = 'BOUGHT'";

/// Empty of all but one line, and never bought.
const FRESH: &str = "DELETE FROM public.orders WHERE cart_id = 'cccccccc-0000-4000-8000-00000000000a'; \
    INSERT INTO public.cart_lines (tenant_id, cart_id, variant_id, quantity) \
        SELECT tenant_id, 'cccccccc-0000-4000-8000-00000000000a', id, 1 FROM public.variants WHERE sku = 'A2' ON CONFLICT DO NOTHING";

fn checkout() -> Value {
    json!({
        "email": "Ann@example.test", "name": "Ann",
        "shipping_address": { "name": "Ann", "line1": "1 Quay", "city": "Brest", "country": "FR" },
        "billing_address": null, "payment": "bank_transfer", "total": { "amount": 1002, "currency": "EUR" }
    })
}

pub(crate) async fn cases(scene: &Scene) -> Vec<Case> {
    scene.site.database.execute(CARTS).await;
    scene.site.database.execute(FRESH).await;
    let variant = async |sku: &str| {
        let sql = format!("SELECT id FROM public.variants WHERE sku = '{sku}'");
        scene.site.database.query_one_text(&sql).await
    };
    let (ours, theirs) = (variant("A2").await, variant("B1").await);
    let of =
        |operation| Case::of(operation, Who::Anybody).at("cart", CART, HARBOURS).with("x-cart-token", TOKEN);
    let line = |operation| Case { prepare: FRESH, ..of(operation).at("variant", &ours, &theirs) };
    let with = |pointer: &str, value: Value| {
        let mut body = checkout();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    vec![
        Case::of("create_cart", Who::Anybody),
        of("get_cart"),
        line("set_cart_line")
            .sends(json!({ "quantity": 1 }))
            .refuses_body(json!({ "quantity": 0 }), 422, "invalid", "/quantity")
            .refuses_body(json!({ "quantity": 1000 }), 422, "invalid", "/quantity"),
        line("remove_cart_line"),
        Case::of("get_order_of_cart", Who::Anybody)
            .at("cart", BOUGHT, HARBOURS)
            .with("x-cart-token", "ct_of_the_bought"),
        Case { prepare: FRESH, ..of("create_order_of_cart").sends(checkout()) }
            .refuses_body(with("/total/amount", json!(1)), 409, "price_changed", "/total/amount")
            .refuses_body(with("/total/currency", json!("USD")), 422, "invalid", "/total/currency")
            .refuses_body(with("/email", json!("ann")), 422, "invalid", "/email")
            .refuses_body(with("/name", json!("")), 422, "invalid", "/name")
            .refuses_body(with("/payment", json!("gold")), 422, "invalid", "/payment")
            .refuses_body(
                with("/shipping_address/country", json!("XX")),
                422,
                "invalid",
                "/shipping_address/country",
            )
            .refuses_body(
                with("/shipping_address/city", json!("\u{1}")),
                422,
                "invalid",
                "/shipping_address/city",
            ),
    ]
}
