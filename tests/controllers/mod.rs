//! The controllers: their driver through the library, and how they are looked at and ordered through
//! the program.

mod clock;
mod driver;
mod intervals;
mod orders;
mod replicas;
