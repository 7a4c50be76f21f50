//! What may happen to an order, and what it is then.
//!
//! A total function of standing and event, without a database: the statements that write a standing ask here first and nowhere else.
//! How much came in and went back stands beside the state, so that an order refunded in part is still the paid, fulfilled or delivered one
//! it was; only when all is back is it `refunded`. What is paid on delivery goes out while it is pending, and is paid wherever it is then.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// As `public.order_status` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    Pending,
    Paid,
    Fulfilled,
    Delivered,
    Cancelled,
    Refunded,
}

impl OrderState {
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Paid, Self::Fulfilled, Self::Delivered, Self::Cancelled, Self::Refunded];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Fulfilled => "fulfilled",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Refunded => "refunded",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// When the money is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Before anything goes out.
    InAdvance,
    /// By whoever takes the parcel.
    OnDelivery,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// All of it; nothing is paid in part.
    Pay,
    Fulfil,
    Deliver,
    /// Before anything goes out; what was paid goes back.
    Cancel,
    /// In minor units.
    Refund(i64),
}

/// An order as far as the rules go. Amounts are in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    state: OrderState,
    terms: Terms,
    total: i64,
    paid: i64,
    refunded: i64,
}

/// Why an event is not one for this order. The order stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    #[error("an order that is {} cannot be changed like that", state.name())]
    State { state: OrderState },
    #[error("the order is paid")]
    AlreadyPaid,
    #[error("the order is not paid yet")]
    NotPaid,
    #[error("{left} can be refunded at most, and 1 at least")]
    Amount { left: i64 },
}

/// What is in the database is no order that the rules could have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order cannot be {} with {paid} of {total} paid and {refunded} refunded", state.name())]
pub struct Impossible {
    state: OrderState,
    total: i64,
    paid: i64,
    refunded: i64,
}

impl Standing {
    /// As an order begins.
    ///
    /// # Errors
    /// When the total is negative.
    pub fn placed(terms: Terms, total: i64) -> Result<Self, Impossible> {
        Self::read(OrderState::Pending, terms, total, 0, 0)
    }

    /// From what was written down.
    ///
    /// # Errors
    /// When no sequence of events leads there.
    pub fn read(
        state: OrderState,
        terms: Terms,
        total: i64,
        paid: i64,
        refunded: i64,
    ) -> Result<Self, Impossible> {
        let standing = Self { state, terms, total, paid, refunded };
        if standing.is_possible() {
            return Ok(standing);
        }
        Err(Impossible { state, total, paid, refunded })
    }

    #[must_use]
    pub fn state(self) -> OrderState {
        self.state
    }

    #[must_use]
    pub fn paid(self) -> i64 {
        self.paid
    }

    #[must_use]
    pub fn refunded(self) -> i64 {
        self.refunded
    }

    /// What could still go back.
    #[must_use]
    pub fn refundable(self) -> i64 {
        self.paid - self.refunded
    }

    /// The order after the event.
    ///
    /// # Errors
    /// When it cannot happen to this order.
    pub fn after(self, event: OrderEvent) -> Result<Self, Illegal> {
        use OrderState::{Cancelled, Delivered, Fulfilled, Paid, Pending, Refunded};
        let refuse = Err(Illegal::State { state: self.state });
        let on_delivery = self.terms == Terms::OnDelivery;
        match (event, self.state) {
            (OrderEvent::Pay, Pending) => Ok(Self { state: Paid, paid: self.total, ..self }),
            (OrderEvent::Pay, Paid) => Err(Illegal::AlreadyPaid),
            (OrderEvent::Pay, Fulfilled | Delivered) if self.owes() => Ok(Self { paid: self.total, ..self }),
            (OrderEvent::Pay, Fulfilled | Delivered) => Err(Illegal::AlreadyPaid),
            (OrderEvent::Fulfil, Paid) => Ok(Self { state: Fulfilled, ..self }),
            (OrderEvent::Fulfil, Pending) if on_delivery => Ok(Self { state: Fulfilled, ..self }),
            (OrderEvent::Fulfil, Pending) => Err(Illegal::NotPaid),
            (OrderEvent::Deliver, Fulfilled) => Ok(Self { state: Delivered, ..self }),
            (OrderEvent::Cancel, Pending | Paid) => {
                Ok(Self { state: Cancelled, refunded: self.paid, ..self })
            }
            (OrderEvent::Refund(amount), Paid | Fulfilled | Delivered) => self.refund(amount),
            (OrderEvent::Refund(_), Pending) => Err(Illegal::NotPaid),
            (_, Cancelled | Refunded)
            | (OrderEvent::Fulfil | OrderEvent::Cancel, Fulfilled | Delivered)
            | (OrderEvent::Deliver, Pending | Paid | Delivered) => refuse,
        }
    }

    fn refund(self, amount: i64) -> Result<Self, Illegal> {
        if self.owes() {
            return Err(Illegal::NotPaid);
        }
        let left = self.refundable();
        if !(1..=left).contains(&amount) {
            return Err(Illegal::Amount { left });
        }
        let state = if amount == left { OrderState::Refunded } else { self.state };
        Ok(Self { state, refunded: self.refunded + amount, ..self })
    }

    /// Nothing was paid, and something is to be.
    fn owes(self) -> bool {
        self.paid < self.total
    }

    fn is_possible(self) -> bool {
        let Self { state, terms, total, paid, refunded } = self;
        if total < 0 || (paid != 0 && paid != total) || !(0..=paid).contains(&refunded) {
            return false;
        }
        let is_back = refunded == paid;
        match state {
            OrderState::Pending => paid == 0,
            OrderState::Paid => paid == total && (!is_back || total == 0),
            OrderState::Fulfilled | OrderState::Delivered => {
                (paid == total && (!is_back || total == 0)) || (paid == 0 && terms == Terms::OnDelivery)
            }
            OrderState::Cancelled => is_back,
            OrderState::Refunded => is_back && paid == total,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms() -> impl Strategy<Value = Terms> {
        prop_oneof![Just(Terms::InAdvance), Just(Terms::OnDelivery)]
    }

    fn event() -> impl Strategy<Value = OrderEvent> {
        prop_oneof![
            Just(OrderEvent::Pay),
            Just(OrderEvent::Fulfil),
            Just(OrderEvent::Deliver),
            Just(OrderEvent::Cancel),
            (-3_i64..60).prop_map(OrderEvent::Refund),
            any::<i64>().prop_map(OrderEvent::Refund),
        ]
    }

    /// Which state may follow which, said once more and in another way.
    const NEXT: [(OrderState, &[OrderState]); 6] = {
        use OrderState::{Cancelled, Delivered, Fulfilled, Paid, Pending, Refunded};
        [
            (Pending, &[Paid, Fulfilled, Cancelled]),
            (Paid, &[Paid, Fulfilled, Cancelled, Refunded]),
            (Fulfilled, &[Fulfilled, Delivered, Refunded]),
            (Delivered, &[Delivered, Refunded]),
            (Cancelled, &[]),
            (Refunded, &[]),
        ]
    };

    proptest! {
        #[test]
        fn only_legal_transitions_happen(terms in terms(), total in 0_i64..100, events in prop::collection::vec(event(), 0..20)) {
            let mut order = Standing::placed(terms, total).unwrap();
            let (mut pays, mut back) = (0, 0);
            for event in events {
                let Ok(next) = order.after(event) else { continue };
                let (_, may) = NEXT.iter().find(|(state, _)| *state == order.state).unwrap();
                prop_assert!(may.contains(&next.state), "{order:?} {event:?} {next:?}");
                pays += i32::from(event == OrderEvent::Pay);
                back += next.refunded - order.refunded;
                prop_assert!(next.refunded >= order.refunded && next.paid >= order.paid, "nothing is unsaid");
                prop_assert!(back <= next.paid && next.paid <= total, "never more back than came in");
                let sent = |order: Standing| matches!(order.state, OrderState::Fulfilled | OrderState::Delivered);
                if terms == Terms::InAdvance && sent(next) {
                    prop_assert_eq!(next.paid, total, "nothing goes out unpaid");
                }
                prop_assert_eq!(Standing::read(next.state, terms, total, next.paid, next.refunded), Ok(next), "what is written can be read");
                order = next;
            }
            prop_assert!(total == 0 || pays <= 1, "paid twice");
        }

        #[test]
        fn what_cannot_be_is_not_read(paid in -5_i64..20, refunded in -5_i64..20, total in -5_i64..20, at in 0_usize..6, terms in terms()) {
            if let Ok(order) = Standing::read(OrderState::ALL[at], terms, total, paid, refunded) {
                prop_assert!(0 <= order.refunded && order.refunded <= order.paid && order.paid <= order.total);
                prop_assert!(order.state != OrderState::Cancelled || order.refundable() == 0);
            }
        }
    }

    #[test]
    fn a_refund_of_all_that_is_left_ends_the_order() {
        let paid = Standing::placed(Terms::InAdvance, 50).unwrap().after(OrderEvent::Pay).unwrap();
        let part = paid.after(OrderEvent::Refund(20)).unwrap();
        assert_eq!((part.state(), part.refundable()), (OrderState::Paid, 30));
        let sent = part.after(OrderEvent::Fulfil).unwrap();
        for amount in [31, 0, -1, i64::MAX, i64::MIN] {
            assert_eq!(sent.after(OrderEvent::Refund(amount)), Err(Illegal::Amount { left: 30 }));
        }
        assert_eq!(sent.after(OrderEvent::Refund(30)).unwrap().state(), OrderState::Refunded);
        assert_eq!(part.after(OrderEvent::Cancel).unwrap().refunded(), 50, "with what had not gone back");
    }

    #[test]
    fn what_is_paid_on_delivery_goes_out_first() {
        let placed = |terms| Standing::placed(terms, 50).unwrap();
        assert_eq!(placed(Terms::InAdvance).after(OrderEvent::Fulfil), Err(Illegal::NotPaid));
        let there =
            placed(Terms::OnDelivery).after(OrderEvent::Fulfil).unwrap().after(OrderEvent::Deliver).unwrap();
        assert_eq!(there.after(OrderEvent::Refund(1)), Err(Illegal::NotPaid));
        let paid = there.after(OrderEvent::Pay).unwrap();
        assert_eq!((paid.state(), paid.paid()), (OrderState::Delivered, 50));
        assert_eq!(paid.after(OrderEvent::Pay), Err(Illegal::AlreadyPaid));
    }
}
