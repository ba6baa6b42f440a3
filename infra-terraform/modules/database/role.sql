-- The role that pods log in as: by IAM, in this database alone. Run by the master user, as docs/deployment.md says; running
-- it again changes nothing. psql sets DBNAME; `role` is given by --set.
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I LOGIN', :'role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
-- With this, RDS takes a token of IAM for the password, and no other.
GRANT rds_iam TO :"role";
REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"DBNAME" TO :"role";
-- Langflow makes its tables, and changes them when it is upgraded.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO :"role";
