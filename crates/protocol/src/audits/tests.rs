mod books;
mod challenges;
mod farm;
mod path;
mod rules;
mod scale;
