//! Each refusal, and what is rendered for tables that can be kept apart.
