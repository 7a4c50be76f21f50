//! Shapes that Bastide cannot keep apart: `rls plan` says which object and what to do about it, and changes nothing.
