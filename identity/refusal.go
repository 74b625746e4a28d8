package identity

import (
	"errors"
	"net/http"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// refusal is what the service of that model says of an error of Parse, Verify
// or Issuer.find. Services that speak JSON have one name and status for it, those that
// speak the query protocol and XML others, and EC2 and S3 names of their own:
// "Common Errors" and "Error responses" of their API references.
func refusal(err error, service string, presigned bool) *awsapi.Error {
	if said := (*awsapi.Error)(nil); errors.As(err, &said) {
		return said
	}
	switch service {
	case "ec2":
		return refusalEC2(err)
	case "s3":
		return refusalS3(err, presigned)
	}
	info, ok := model.Lookup(service)
	speaks := func(p string) bool { return ok && info.Protocols[0] == p }
	query := speaks("query") || speaks("rest-xml")
	e := &awsapi.Error{Code: "InvalidSignatureException", Message: err.Error(), Status: http.StatusForbidden}
	incomplete := "IncompleteSignatureException"
	switch {
	case query:
		e.Code, incomplete = "SignatureDoesNotMatch", "IncompleteSignature"
	case !speaks("rest-json"):
		e.Status = http.StatusBadRequest
	}
	switch {
	case errors.Is(err, ErrIncomplete):
		e.Code, e.Status = incomplete, http.StatusBadRequest
	case errors.Is(err, ErrUnknownKey) && query:
		e.Code = "InvalidClientTokenId"
	case errors.Is(err, ErrUnknownKey):
		e.Code = "UnrecognizedClientException"
	case errors.Is(err, ErrExpiredKey) && query:
		e.Code = "ExpiredToken"
	case errors.Is(err, ErrExpiredKey):
		e.Code = "ExpiredTokenException"
	}
	return e
}

func refusalEC2(err error) *awsapi.Error {
	switch {
	case errors.Is(err, ErrExpired), errors.Is(err, ErrEarly), errors.Is(err, ErrExpiredKey):
		return &awsapi.Error{Code: "RequestExpired", Message: "Request has expired.", Status: http.StatusBadRequest}
	case errors.Is(err, ErrIncomplete):
		return &awsapi.Error{Code: "IncompleteSignature", Message: err.Error(), Status: http.StatusBadRequest}
	}
	return &awsapi.Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: http.StatusUnauthorized}
}

func refusalS3(err error, presigned bool) *awsapi.Error {
	e := &awsapi.Error{Code: "SignatureDoesNotMatch", Status: http.StatusForbidden,
		Message: "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
	switch {
	case errors.Is(err, ErrUnknownKey):
		e.Code, e.Message = "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	case errors.Is(err, ErrExpiredKey):
		e.Code, e.Message, e.Status = "ExpiredToken", "The provided token has expired.", http.StatusBadRequest
	case errors.Is(err, ErrUnsigned):
		e.Code, e.Message = "AccessDenied", "There were headers present in the request which were not signed"
	case presigned && errors.Is(err, ErrExpired):
		e.Code, e.Message = "AccessDenied", "Request has expired"
	case presigned && errors.Is(err, ErrEarly):
		e.Code, e.Message = "AccessDenied", "Request is not yet valid"
	case errors.Is(err, ErrExpired), errors.Is(err, ErrEarly):
		e.Code, e.Message = "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
	case presigned && errors.Is(err, ErrIncomplete):
		e.Code, e.Message, e.Status = "AuthorizationQueryParametersError", err.Error(), http.StatusBadRequest
	case errors.Is(err, ErrIncomplete), errors.Is(err, ErrScope):
		e.Code, e.Message, e.Status = "AuthorizationHeaderMalformed", "The authorization header is malformed; "+err.Error(), http.StatusBadRequest
	}
	return e
}
