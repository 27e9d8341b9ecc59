<?php
// PHPMailer: isSendmail(), isMail(), and isMail() with the From that WordPress sets.
require 'libphp-phpmailer/autoload.php';

use PHPMailer\PHPMailer\PHPMailer;

$mail = new PHPMailer(true);
$argv[1] === 'sendmail' ? $mail->isSendmail() : $mail->isMail();
$mail->setFrom('noreply@contoso.test', 'Jörg Größe', $argv[1] !== 'wordpress');
$mail->CharSet = PHPMailer::CHARSET_UTF8;
$mail->addAddress('ann@example.com');
$mail->addBCC('hid@example.com');
$mail->Subject = 'Grüße aus Köln – 日本語 ✓';
$mail->Body = file_get_contents('body');
$mail->addAttachment('attachment.bin');
try {
    $mail->send();
    echo "sent\n";
} catch (Exception $error) {
    echo 'failed: ', $error->getMessage(), "\n";
}
