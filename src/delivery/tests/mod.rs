//! Deliveries in scratch repositories.

mod checkout_update;
mod deliver;
