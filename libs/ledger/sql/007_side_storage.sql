-- Short-lived, and often bytes that do not compress: not worth trying.
ALTER TABLE {s}.side ALTER COLUMN value SET STORAGE EXTERNAL;
