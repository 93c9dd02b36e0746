mod books;
mod challenges;
mod farm;
mod lives;
mod members;
mod path;
mod rules;
mod scale;
