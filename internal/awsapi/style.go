package awsapi

import (
	"strings"

	"github.com/dhowhq/dhow/internal/awsapi/codec"
	"github.com/dhowhq/dhow/internal/awsapi/model"
)

// constraintCodes are the codes with which services refuse input that breaks
// their model, where it is not the protocol's usual one. From recordings of
// AWS and, for ECS and ECR, from their API references.
var constraintCodes = map[string]string{
	"ecs":     "InvalidParameterException",
	"ecr":     "InvalidParameterException",
	"logs":    "InvalidParameterException",
	"route53": "InvalidInput",
	"s3":      "InvalidArgument",
	"ec2":     "InvalidParameterValue",
}

// violation is the service's error for input that breaks the model.
func (x *exchange) violation(bad codec.Violations) *Error {
	name := x.call.Service
	switch name {
	case "ec2":
		return ec2Violation(bad[0])
	case "ecr":
		return ecrViolation(bad[0])
	case "sqs":
		if bad[0].Missing {
			return &Error{Code: "MissingRequiredParameterException", Message: "The request must contain the parameter " + bad[0].Member + "."}
		}
		return &Error{Code: "InvalidParameterValueException", Message: bad.Error()}
	}
	return &Error{Code: constraintCode(x.t.info), Message: bad.Error()}
}

// constraintCode is the code with which the service refuses bad input.
func constraintCode(i *model.Info) string {
	switch code := constraintCodes[i.Name]; {
	case code != "":
		return code
	case i.Speaks("query"):
		return "ValidationError"
	}
	return "ValidationException"
}

// ec2Violation is EC2's own: one parameter at a time, by its name.
func ec2Violation(v codec.Violation) *Error {
	if v.Missing {
		return &Error{Code: "MissingParameter", Message: "The request must contain the parameter " + v.Path}
	}
	value := strings.TrimSuffix(strings.TrimPrefix(v.Value, " '"), "'")
	return &Error{Code: "InvalidParameterValue", Message: "Value (" + value + ") for parameter " + v.Path + " is invalid. " + v.Constraint}
}

// ecrViolation is ECR's own: one parameter at a time, and the model's sentence
// without its subject.
func ecrViolation(v codec.Violation) *Error {
	rule := strings.TrimPrefix(v.Constraint, "Member ")
	if before, pattern, ok := strings.Cut(rule, "regular expression pattern: "); ok {
		rule = before + "regular expression '" + pattern + "'"
	}
	return &Error{Code: "InvalidParameterException", Message: "Invalid parameter at '" + v.Path + "' failed to satisfy constraint: '" + rule + "'"}
}

// malformed is the protocol's error for bytes that are not what they should be.
func (x *exchange) malformed(e *codec.SyntaxError) *Error {
	code := "SerializationException"
	switch {
	case x.call.Service == "s3":
		code = "MalformedXML"
	case x.call.Service == "route53":
		code = "InvalidInput"
	case x.t.proto == ec2Query:
		code = "InvalidParameterValue"
	case x.t.proto == query, x.t.proto == restXML:
		code = "MalformedInput"
	}
	return &Error{Code: code, Message: e.Message}
}
