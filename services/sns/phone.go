package sns

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"github.com/dhowhq/dhow/internal/awsapi"
	"github.com/dhowhq/dhow/store"
	"github.com/dhowhq/dhow/topic"
)

// SetSMSAttributes sets the account's attributes for short messages.
func (a *API) SetSMSAttributes(ctx context.Context, in *sns.SetSMSAttributesInput) (*sns.SetSMSAttributesOutput, error) {
	for name, v := range in.Attributes {
		if err := checkSMS(name, v); err != nil {
			return nil, err
		}
	}
	s := scope(ctx)
	return &sns.SetSMSAttributesOutput{}, a.db.Update(ctx, func(tx *store.Tx) error {
		row, _ := topic.SMSSettingsTable.Get(tx, s.Key("sms"))
		next := topic.SMSSettings{Scope: s, Attributes: map[string]string{}}
		for k, v := range row.Attributes {
			next.Attributes[k] = v
		}
		for k, v := range in.Attributes {
			if next.Attributes[k] = v; v == "" {
				delete(next.Attributes, k)
			}
		}
		return topic.SMSSettingsTable.Put(tx, next)
	})
}

var senderID = regexp.MustCompile(`^[A-Za-z0-9]{1,11}$`)

func checkSMS(name, v string) error {
	n, err := strconv.Atoi(v)
	switch name { // an empty value takes an attribute back
	case "MonthlySpendLimit":
		if v != "" && (err != nil || n < 0) {
			return invalid("%s is not a valid value for MonthlySpendLimit", v)
		}
	case "DeliveryStatusSuccessSamplingRate":
		if v != "" && (err != nil || n < 0 || n > 100) {
			return invalid("DeliveryStatusSuccessSamplingRate must be between 0 and 100")
		}
	case "DefaultSenderID":
		if v != "" && !senderID.MatchString(v) {
			return invalid("DefaultSenderID must be 1-11 alphanumeric characters")
		}
	case "DefaultSMSType":
		if v != "" && v != "Promotional" && v != "Transactional" {
			return invalid("DefaultSMSType must be Promotional or Transactional")
		}
	case "DeliveryStatusIAMRole":
		if v != "" && checkARN(name, v) != nil {
			return invalid("DeliveryStatusIAMRole is not the ARN of a role")
		}
	case "UsageReportS3Bucket":
		if v != "" {
			return invalid("UsageReportS3Bucket: usage reports are not written here. Leave it out.")
		}
	default:
		return refuse("%s is not a valid attribute", name)
	}
	return nil
}

// GetSMSAttributes shows them: all, or those that are named.
func (a *API) GetSMSAttributes(ctx context.Context, in *sns.GetSMSAttributesInput) (*sns.GetSMSAttributesOutput, error) {
	var row topic.SMSSettings
	a.db.View(func(r store.Reader) error {
		row, _ = topic.SMSSettingsTable.Get(r, scope(ctx).Key("sms"))
		return nil
	})
	out := map[string]string{"MonthlySpendLimit": "1"}
	for k, v := range row.Attributes {
		out[k] = v
	}
	if len(in.Attributes) > 0 {
		for k := range out {
			if !slices.Contains(in.Attributes, k) {
				delete(out, k)
			}
		}
	}
	return &sns.GetSMSAttributesOutput{Attributes: out}, nil
}

// CheckIfPhoneNumberIsOptedOut says whether a number wants no more messages.
func (a *API) CheckIfPhoneNumberIsOptedOut(ctx context.Context, in *sns.CheckIfPhoneNumberIsOptedOutInput) (*sns.CheckIfPhoneNumberIsOptedOutOutput, error) {
	if !e164.MatchString(*in.PhoneNumber) {
		return nil, invalid("PhoneNumber Reason: input incorrectly formatted")
	}
	out := &sns.CheckIfPhoneNumberIsOptedOutOutput{}
	a.db.View(func(r store.Reader) error {
		_, out.IsOptedOut = topic.OptOuts.Get(r, scope(ctx).Key(*in.PhoneNumber))
		return nil
	})
	return out, nil
}

// OptInPhoneNumber has a number get messages again.
func (a *API) OptInPhoneNumber(ctx context.Context, in *sns.OptInPhoneNumberInput) (*sns.OptInPhoneNumberOutput, error) {
	if !e164.MatchString(*in.PhoneNumber) {
		return nil, invalid("PhoneNumber Reason: input incorrectly formatted")
	}
	return &sns.OptInPhoneNumberOutput{}, a.db.Update(ctx, func(tx *store.Tx) error {
		topic.OptOuts.Delete(tx, scope(ctx).Key(*in.PhoneNumber))
		return nil
	})
}

// ListPhoneNumbersOptedOut lists numbers that want no more messages.
func (a *API) ListPhoneNumbersOptedOut(ctx context.Context, in *sns.ListPhoneNumbersOptedOutInput) (*sns.ListPhoneNumbersOptedOutOutput, error) {
	var rows []topic.OptOut
	a.db.View(func(r store.Reader) error {
		for o := range topic.OptOuts.List(r, scope(ctx).Prefix()) {
			rows = append(rows, o)
		}
		return nil
	})
	some, next, err := awsapi.Page(ctx, rows, func(o topic.OptOut) string { return o.Number }, in.NextToken, nil, page)
	if err != nil {
		return nil, err
	}
	out := &sns.ListPhoneNumbersOptedOutOutput{PhoneNumbers: []string{}, NextToken: next}
	for _, o := range some {
		out.PhoneNumbers = append(out.PhoneNumbers, o.Number)
	}
	return out, nil
}

// ListOriginationNumbers lists none: there are no numbers to send from.
func (*API) ListOriginationNumbers(ctx context.Context, in *sns.ListOriginationNumbersInput) (*sns.ListOriginationNumbersOutput, error) {
	if _, err := awsapi.ParseToken(ctx, in.NextToken); err != nil {
		return nil, err
	}
	return &sns.ListOriginationNumbersOutput{PhoneNumbers: []types.PhoneNumberInformation{}}, nil
}

// GetSMSSandboxAccountStatus says that no account is in the sandbox: every
// number's messages land in the outbox.
func (*API) GetSMSSandboxAccountStatus(context.Context, *sns.GetSMSSandboxAccountStatusInput) (*sns.GetSMSSandboxAccountStatusOutput, error) {
	return &sns.GetSMSSandboxAccountStatusOutput{IsInSandbox: false}, nil
}

// maxPhones is how many numbers a sandbox has ("SMS sandbox").
const maxPhones = 10

// CreateSMSSandboxPhoneNumber sends a one-time password to a number: to the
// outbox.
func (a *API) CreateSMSSandboxPhoneNumber(ctx context.Context, in *sns.CreateSMSSandboxPhoneNumberInput) (*sns.CreateSMSSandboxPhoneNumberOutput, error) {
	if !e164.MatchString(*in.PhoneNumber) {
		return nil, invalid("PhoneNumber Reason: input incorrectly formatted")
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return nil, err
	}
	s := scope(ctx)
	p := topic.SandboxPhone{Scope: s, Number: *in.PhoneNumber, OTP: fmt.Sprintf("%06d", n), Language: string(in.LanguageCode), Sent: time.Now().UTC()}
	err = a.db.Update(ctx, func(tx *store.Tx) error {
		if _, out := topic.OptOuts.Get(tx, p.RowKey()); out {
			return &types.OptedOutException{Message: ptr("The phone number has opted out of messages")}
		}
		have, ok := topic.SandboxPhones.Get(tx, p.RowKey())
		if ok && !have.Verified.IsZero() {
			return &types.UserErrorException{Message: ptr("The phone number is verified already")}
		}
		count := 0
		for range topic.SandboxPhones.List(tx, s.Prefix()) {
			count++
		}
		if !ok && count >= maxPhones {
			return &types.UserErrorException{Message: ptr("The sandbox holds 10 phone numbers: delete one first")}
		}
		return topic.SandboxPhones.Put(tx, p)
	})
	if err != nil {
		return nil, err
	}
	return &sns.CreateSMSSandboxPhoneNumberOutput{}, wrap(a.engine.Text(ctx, s, p.Number, "Your verification code is "+p.OTP))
}

// VerifySMSSandboxPhoneNumber takes the one-time password.
func (a *API) VerifySMSSandboxPhoneNumber(ctx context.Context, in *sns.VerifySMSSandboxPhoneNumberInput) (*sns.VerifySMSSandboxPhoneNumberOutput, error) {
	return &sns.VerifySMSSandboxPhoneNumberOutput{}, a.db.Update(ctx, func(tx *store.Tx) error {
		p, ok := topic.SandboxPhones.Get(tx, scope(ctx).Key(*in.PhoneNumber))
		if !ok {
			return &types.ResourceNotFoundException{Message: ptr("The phone number is not in the sandbox")}
		}
		if p.OTP != *in.OneTimePassword || time.Since(p.Sent) > 15*time.Minute {
			return &types.VerificationException{Message: ptr("The one-time password is wrong or has expired"), Status: ptr("Verification failed")}
		}
		p.OTP, p.Verified = "", time.Now().UTC()
		return topic.SandboxPhones.Put(tx, p)
	})
}

// DeleteSMSSandboxPhoneNumber removes a number.
func (a *API) DeleteSMSSandboxPhoneNumber(ctx context.Context, in *sns.DeleteSMSSandboxPhoneNumberInput) (*sns.DeleteSMSSandboxPhoneNumberOutput, error) {
	return &sns.DeleteSMSSandboxPhoneNumberOutput{}, a.db.Update(ctx, func(tx *store.Tx) error {
		p, ok := topic.SandboxPhones.Get(tx, scope(ctx).Key(*in.PhoneNumber))
		if !ok {
			return &types.ResourceNotFoundException{Message: ptr("The phone number is not in the sandbox")}
		}
		if !p.Verified.IsZero() && time.Since(p.Verified) < 24*time.Hour {
			return &types.UserErrorException{Message: ptr("A verified phone number can be deleted 24 hours after its verification")}
		}
		topic.SandboxPhones.Delete(tx, p.RowKey())
		return nil
	})
}

// ListSMSSandboxPhoneNumbers lists the numbers of the sandbox.
func (a *API) ListSMSSandboxPhoneNumbers(ctx context.Context, in *sns.ListSMSSandboxPhoneNumbersInput) (*sns.ListSMSSandboxPhoneNumbersOutput, error) {
	var rows []topic.SandboxPhone
	a.db.View(func(r store.Reader) error {
		for p := range topic.SandboxPhones.List(r, scope(ctx).Prefix()) {
			rows = append(rows, p)
		}
		return nil
	})
	some, next, err := awsapi.Page(ctx, rows, func(p topic.SandboxPhone) string { return p.Number }, in.NextToken, in.MaxResults, page)
	if err != nil {
		return nil, err
	}
	out := &sns.ListSMSSandboxPhoneNumbersOutput{PhoneNumbers: []types.SMSSandboxPhoneNumber{}, NextToken: next}
	for _, p := range some {
		status := types.SMSSandboxPhoneNumberVerificationStatusPending
		if !p.Verified.IsZero() {
			status = types.SMSSandboxPhoneNumberVerificationStatusVerified
		}
		out.PhoneNumbers = append(out.PhoneNumbers, types.SMSSandboxPhoneNumber{PhoneNumber: ptr(p.Number), Status: status})
	}
	return out, nil
}
