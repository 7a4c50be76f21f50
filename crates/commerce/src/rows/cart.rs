//! What somebody is about to buy.

use std::num::NonZeroU32;

use bastide_tenancy::Row;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Columns;
use crate::{
    Error, Example, Money,
    pricing::{self, Line, TooMuch, Totals},
};

/// With the prices there are now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cart {
    pub id: Uuid,
    /// By variant.
    pub lines: Vec<CartLine>,
    pub subtotal: Money,
    /// Free, as yet.
    pub shipping: Money,
    /// None, as yet.
    pub tax: Money,
    /// What a checkout would cost: lines that are not on sale any more are not in it, and must go first.
    pub total: Money,
    /// It was bought, and stays as it is.
    pub ordered: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CartLine {
    pub variant_id: i64,
    #[serde(skip)]
    pub product_id: i64,
    pub sku: String,
    pub name: String,
    #[schema(value_type = u32, minimum = 1, maximum = 999)]
    pub quantity: NonZeroU32,
    pub unit_price: Money,
    pub total: Money,
    pub on_sale: bool,
}

impl Cart {
    /// Of the rows of one cart, one for each line, or one without a line.
    pub(crate) fn read(rows: &[Row], currency: &str) -> Result<Option<Self>, Error> {
        let Some(first) = rows.first() else { return Ok(None) };
        let columns = Columns { entity: "cart", row: first };
        let lines: Vec<CartLine> = rows
            .iter()
            .filter_map(|row| CartLine::read(row, currency).transpose())
            .collect::<Result<_, _>>()?;
        let totals = Self::sums(&lines).map_err(|TooMuch| columns.wrong("price_cents"))?;
        let money = |amount| Money { amount, currency: currency.to_owned() };
        Ok(Some(Self {
            id: columns.get("id")?,
            ordered: columns.get("ordered")?,
            lines,
            subtotal: money(totals.subtotal),
            shipping: money(totals.shipping),
            tax: money(totals.tax),
            total: money(totals.total),
        }))
    }

    fn sums(lines: &[CartLine]) -> Result<Totals, TooMuch> {
        let on_sale = lines.iter().filter(|line| line.on_sale);
        pricing::totals(on_sale.map(|line| Line { unit: line.unit_price.amount, quantity: line.quantity }))
    }
}

impl CartLine {
    /// None of a cart without a line.
    fn read(row: &Row, currency: &str) -> Result<Option<Self>, Error> {
        let columns = Columns { entity: "cart line", row };
        let Some(variant_id) = columns.get("variant_id")? else { return Ok(None) };
        let quantity = u32::try_from(columns.get::<i32>("quantity")?).ok().and_then(NonZeroU32::new);
        let quantity = quantity.ok_or_else(|| columns.wrong("quantity"))?;
        let unit = columns.get("price_cents")?;
        let total = Line { unit, quantity }.total().map_err(|TooMuch| columns.wrong("price_cents"))?;
        let its: String = columns.get("currency")?;
        Ok(Some(Self {
            variant_id,
            product_id: columns.get("product_id")?,
            sku: columns.get("sku")?,
            name: columns.get("name")?,
            quantity,
            // A sum is of one currency: what a legacy shop priced in another cannot be bought.
            on_sale: columns.get::<bool>("on_sale")? && its == currency,
            unit_price: Money { amount: unit, currency: its.clone() },
            total: Money { amount: total, currency: its },
        }))
    }
}

impl Example for Cart {
    fn example() -> Value {
        let money = |amount: i64| json!({ "amount": amount, "currency": "EUR" });
        json!({
            "id": "7b1c5a52-5d0e-4f3a-9d0c-2f4b6a8c0e11",
            "lines": [{
                "variant_id": 7, "sku": "NET-S", "name": "Lagoon net, Small", "quantity": 2,
                "unit_price": money(1999), "total": money(3998), "on_sale": true
            }],
            "subtotal": money(3998), "shipping": money(0), "tax": money(0), "total": money(3998),
            "ordered": false
        })
    }
}
