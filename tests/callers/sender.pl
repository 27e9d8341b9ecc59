# Email::Sender with its transport Sendmail.
use strict;
use warnings;
use utf8;
use Email::Sender::Simple qw(try_to_sendmail);
use Email::Sender::Transport::Sendmail;
use Email::Simple;
use Encode qw(encode);

open my $file, '<:raw', 'body' or die;
my $body = do { local $/; <$file> };
my $email = Email::Simple->create(
    header => [
        From                        => encode('MIME-Q', 'Jörg Größe') . ' <noreply@contoso.test>',
        To                          => 'ann@example.com',
        Subject                     => encode('MIME-Q', 'Grüße aus Köln – 日本語 ✓') =~ s/\R//gr,
        'MIME-Version'              => '1.0',
        'Content-Type'              => 'text/plain; charset=utf-8',
        'Content-Transfer-Encoding' => '8bit',
    ],
    body => $body,
);
my $sent = try_to_sendmail($email, {
    transport => Email::Sender::Transport::Sendmail->new,
    from      => 'noreply@contoso.test',
    to        => ['ann@example.com', 'hid@example.com'],
});
print $sent ? "sent\n" : "failed\n";
