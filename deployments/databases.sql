-- Prefect's database is made by the image; MLflow, its users and the hyper-parameter studies have their own.
CREATE DATABASE mlflow OWNER plumbline;
CREATE DATABASE users OWNER plumbline;
CREATE DATABASE studies OWNER plumbline;
