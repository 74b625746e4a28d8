// Package oracle holds the tests that set awsapi against AWS's own clients:
// the SDK for Go, operation by operation with random values, and boto3. They
// live apart because they link the SDK's largest packages.
package oracle
